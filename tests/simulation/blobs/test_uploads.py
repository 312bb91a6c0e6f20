"""What meets over uploads, in every order and in crowds; and the rules of it, each taken out."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.model.upload import Piece
from shared.services.content import blobs, joining, uploads
from shared.services.content.joining import Joining
from shared.services.content.staging import Place
from shared.services.content.uploads import May, Uploads
from shared.services.garbage.garbage import Garbage
from shared.storage.ages import Span
from shared.storage.memory.objects import MemoryObjects
from shared.storage.origins import Origin
from shared.storage.ports import Delete, Facts
from shared.storage.rows.contents import Contents
from shared.storage.rows.holdings import Content, Gone, content_of
from shared.storage.rows.records import Link
from tests.simulation.blobs.operations import PutSurely
from tests.simulation.blobs.scenarios import D
from tests.simulation.blobs.test_planted_blob_faults import upload_takes_up_what_another_call_made
from tests.simulation.blobs.uploads import UPLOADS
from tests.simulation.explorer import Report, Scenario
from tests.simulation.operations import Push
from tests.simulation.scenarios import BLOBS, CROWDS, ONE, PAIRS, TWO, V1, A, Past, X
from tests.simulation.test_crowds import run_through
from tests.simulation.test_planted_faults import Fault, find

type Explore = Callable[..., Report]
type Patch = pytest.MonkeyPatch

EQUAL = 50
SEEDS = range(2)
SCENARIOS: Mapping[str, Scenario] = {**PAIRS, **CROWDS, **UPLOADS}


@pytest.mark.parametrize("scenario", UPLOADS.values(), ids=UPLOADS)
def test_uploads_meet(scenario: Scenario, explore: Explore, monkeypatch: Patch) -> None:
    monkeypatch.setattr(joining, "_TRIES", 2)
    explore(scenario, faults=True)


@pytest.mark.parametrize("past", [Past(), BLOBS], ids=["none is there", "one is there"])
@pytest.mark.parametrize("seed", SEEDS)
def test_equal_uploads_starve_none(past: Past, seed: int, monkeypatch: Patch) -> None:
    monkeypatch.setattr(joining, "_TRIES", 2)
    puts = [PutSurely(A, D, past.upload(X)) for _ in range(EQUAL)]
    run = run_through(past.meets(*([put] for put in puts)), seed)
    assert all(actor.is_over for actor in run.actors)


@pytest.mark.parametrize("seed", SEEDS)
def test_pushes_of_a_popular_link_starve_no_upload(seed: int, monkeypatch: Patch) -> None:
    monkeypatch.setattr(joining, "_TRIES", 1)
    pushes = [Push(A, ONE), Push(A, TWO), Push(A, ONE, V1), Push(A, TWO, V1)] * 3
    put = PutSurely(A, D, BLOBS.upload(X))
    run = run_through(BLOBS.meets([put], *([push] for push in pushes)), seed)
    assert all(actor.is_over for actor in run.actors)


def blocks_are_named_by_their_place_alone(patch: Patch) -> None:
    nonce = bytes(8)
    patch.setattr(uploads, "Place", lambda name, _, last: Place(name, nonce, last))
    patch.setattr(uploads, "Piece", lambda _, count: Piece(nonce, count))


def upload_does_not_know_its_own_object(patch: Patch) -> None:
    class Forgotten(Origin):
        @classmethod
        def read(cls, facts: Facts) -> Origin:  # type: ignore[override]
            return replace(Origin.read(facts), by="")

    patch.setattr(uploads, "Origin", Forgotten)


def upload_names_what_it_made_long_ago(patch: Patch) -> None:
    bring = Joining.bring

    async def late(
        self: Joining, repository: RepositoryName, digest: Digest, own: Content, made: Span
    ) -> None:
        await bring(self, repository, digest, own, Span(self._ticks))

    patch.setattr(Joining, "bring", late)


def upload_leaves_the_link_as_it_is(patch: Patch) -> None:
    change = Joining._change

    async def leave(
        self: Joining, repository: RepositoryName, there: Link, link: Link, sent: Span
    ) -> bool:
        return there.object == link.object or await change(self, repository, there, link, sent)

    patch.setattr(Joining, "_change", leave)


def upload_that_was_overtaken_begins_again(patch: Patch) -> None:
    change = Joining._change

    async def again(
        self: Joining, repository: RepositoryName, there: Link, link: Link, sent: Span
    ) -> bool:
        before = await self._contents.link(repository, link.digest)
        return before == there and await change(self, repository, there, link, sent)

    patch.setattr(joining, "_TRIES", 1)
    patch.setattr(Joining, "_change", again)


def repeated_upload_is_unknown(patch: Patch) -> None:
    async def unknown(*_: object) -> bool:
        return False

    patch.setattr(Joining, "share", unknown)


def cancelling_leaves_no_mark(patch: Patch) -> None:
    patch.setattr(Uploads, "cancel", lambda self, _, upload: self.status(upload))


def discovery_believes_the_holders(patch: Patch) -> None:
    async def discover(
        self: Uploads, repository: RepositoryName, digest: Digest, may_pull: May
    ) -> bool:
        holders = await self._stores.holdings.holders(digest, "", 1)
        row = await self._stores.holdings.content(digest)
        if not holders or row is None:
            return False
        return await self._joining.restore(repository, digest, content_of(row))

    patch.setattr(Uploads, "discover", discover)


def objects_are_removed_by_name(patch: Patch) -> None:
    delete = MemoryObjects.delete

    async def any_of_the_name(self: MemoryObjects, name: str, etag: str) -> bool:
        facts = await self.facts(name)
        return await delete(self, name, facts.etag if facts else etag)

    patch.setattr(MemoryObjects, "delete", any_of_the_name)


def what_was_noted_before_is_removed_last(patch: Patch) -> None:
    remove_all, carry_out = Garbage._remove_all, Garbage._carry_out

    async def late(self: Garbage, *arguments: Any) -> bool:
        noted: list[Gone] = []

        async def keep(digest: Digest, gone: Iterable[Gone]) -> None:
            noted.extend(gone)

        self._remove_all = keep  # type: ignore[method-assign,assignment]
        if not await carry_out(self, *arguments):
            return False
        await remove_all(self, D, noted)
        return True

    patch.setattr(Garbage, "_carry_out", late)


def deletion_of_a_blob_takes_any_link(patch: Patch) -> None:
    patch.setattr(blobs, "Delete", lambda key, _: Delete(key))


def deletion_of_a_blob_looks_for_no_edges(patch: Patch) -> None:
    async def nobody(*_: object) -> None:
        return

    patch.setattr(Contents, "user", nobody)


FAULTS = [
    Fault(
        blocks_are_named_by_their_place_alone,
        "two ends of one session, sent at once",
        "not its bytes",
    ),
    Fault(
        upload_does_not_know_its_own_object,
        "a first upload, and a verification of its object",
        "ended with BlobUploadUnknown",
        faults=True,
    ),
    Fault(
        upload_takes_up_what_another_call_made,
        "a repeated PUT of what has gone bad, and its object is removed",
        "not its bytes",
    ),
    Fault(
        upload_names_what_it_made_long_ago,
        "an upload that stalls before its object is named",
        "not its bytes",
    ),
    Fault(upload_leaves_the_link_as_it_is, "an upload", "promised"),
    Fault(
        upload_that_was_overtaken_begins_again,
        "an upload, and pushes of the same link",
        "ended with Unavailable",
    ),
    Fault(
        repeated_upload_is_unknown,
        "a repeated PUT, and its object is removed",
        "ended with BlobUploadUnknown",
    ),
    Fault(
        cancelling_leaves_no_mark,
        "an upload, and its end by its client",
        "its upload was cancelled",
    ),
    Fault(
        discovery_believes_the_holders,
        "what a deleted manifest used is discovered",
        "discovered where it is deleted",
    ),
    Fault(
        objects_are_removed_by_name,
        "a name comes back, and its first bytes are removed",
        "not its bytes",
        faults=True,
    ),
    Fault(
        what_was_noted_before_is_removed_last,
        "a name comes back, and its first bytes are removed",
        "aftermath ended with Unavailable",
        faults=True,
    ),
    Fault(deletion_of_a_blob_takes_any_link, "a deletion of a blob and a push", "without blob"),
    Fault(deletion_of_a_blob_looks_for_no_edges, "a deletion of a blob and a push", "without blob"),
]


@pytest.mark.parametrize(
    "fault", FAULTS, ids=[f"{fault.plant.__name__}-{fault.scenario}" for fault in FAULTS]
)
def test_a_planted_fault_is_found(fault: Fault, monkeypatch: Patch) -> None:
    find(fault, SCENARIOS[fault.scenario], monkeypatch)
