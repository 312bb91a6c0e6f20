"""Faults planted in what keeps blobs: each rule taken out is found by the simulation."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from shared.errors import Unsupported
from shared.model.digest import Digest
from shared.model.hashing import Hasher
from shared.model.names import RepositoryName
from shared.model.upload import Upload
from shared.services.content import uploads
from shared.services.content.blobs import Blobs
from shared.services.content.joining import Joining
from shared.services.content.uploads import Uploads
from shared.services.garbage import garbage, leftovers
from shared.services.garbage.garbage import Garbage
from shared.services.garbage.leftovers import Leftovers
from shared.services.verification import healing
from shared.services.verification.healing import Healing, Task
from shared.storage import ages, keys
from shared.storage.ages import Span
from shared.storage.origins import Origin
from shared.storage.ports import ANY, Change, Conflict, Delete, Insert, NotFound, Put, Row, Update
from shared.storage.rows import holdings
from shared.storage.rows.contents import Contents
from shared.storage.rows.holdings import Content, Gone, Held, Holdings
from shared.storage.rows.records import Link
from tests.simulation.blobs.scenarios import BIG_HEALING, BLOBS, HEALING
from tests.simulation.explorer import Scenario
from tests.simulation.scenarios import BIG_CROWDS, CROWDS, PAIRS
from tests.simulation.test_planted_faults import Fault, find

type Patch = pytest.MonkeyPatch
SCENARIOS: Mapping[str, Scenario] = {
    **PAIRS,
    **CROWDS,
    **BIG_CROWDS,
    **BLOBS,
    **HEALING,
    **BIG_HEALING,
}


def _delete_anything(key: str, etag: str = ANY) -> Delete:
    return Delete(key)


def collector_deletes_any_link(patch: Patch) -> None:
    patch.setattr(garbage, "Delete", _delete_anything)


def collector_strikes_off_any_holder(patch: Patch) -> None:
    patch.setattr(holdings, "Delete", _delete_anything)


def collector_forgets_who_else_leaves(patch: Patch) -> None:
    leaving = Holdings._leaving

    def silent(self: Holdings, held: Held, content: Row) -> list[Change]:
        return [] if held.is_elsewhere else leaving(self, held, content)

    patch.setattr(Holdings, "_leaving", silent)


def collector_does_not_see_who_joined_elsewhere(patch: Patch) -> None:
    leaving = Holdings._leaving

    def blind(self: Holdings, held: Held, content: Row) -> list[Change]:
        good = replace(held.good, etag=ANY) if held.good else None
        return leaving(self, replace(held, good=good), content)

    patch.setattr(Holdings, "_leaving", blind)


def collector_reads_whether_it_is_good_last(patch: Patch) -> None:
    held = Holdings.held

    async def late(self: Holdings, digest: Digest, repository: RepositoryName) -> Held:
        seen = await held(self, digest, repository)
        good = await self._get(digest, seen.good.key) if seen.good else None
        return replace(seen, good=good)

    patch.setattr(Holdings, "held", late)


def collector_takes_young_holders(patch: Patch) -> None:
    patch.setattr(garbage, "ages", SimpleNamespace(L=timedelta(seconds=-1), Span=ages.Span))


def collector_waits_one_grace_period(patch: Patch) -> None:
    init = Garbage.__init__

    def hasty(self: Garbage, *arguments: object) -> None:
        init(self, *arguments)  # type: ignore[arg-type]
        self._lately = self._lately / 3 * 2

    patch.setattr(Garbage, "__init__", hasty)


def collector_looks_for_no_edges(patch: Patch) -> None:
    async def nothing(*_: object) -> list[Row]:
        return []

    patch.setattr(Contents, "edges", nothing)


def collector_removes_bytes_first(patch: Patch) -> None:
    carry_out = Garbage._carry_out

    async def hasty(
        self: Garbage, repository: RepositoryName, digest: Digest, plan: garbage._Plan
    ) -> bool:
        content = plan.held.content
        if content and plan.is_leaving and not plan.held.is_elsewhere:
            there = holdings.content_of(content)
            await self._objects.delete(there.object, there.etag)
        return await carry_out(self, repository, digest, plan)

    patch.setattr(Garbage, "_carry_out", hasty)


def collector_stops_without_a_link(patch: Patch) -> None:
    carry_out = Garbage._carry_out

    async def content(
        self: Garbage, repository: RepositoryName, digest: Digest, plan: garbage._Plan
    ) -> bool:
        return plan.link is None or await carry_out(self, repository, digest, plan)

    patch.setattr(Garbage, "_carry_out", content)


def collector_removes_bad_bytes(patch: Patch) -> None:
    gone = Holdings._gone

    def anything(self: Holdings, row: Row) -> Gone:
        return replace(gone(self, row), is_bad=False)

    patch.setattr(Holdings, "_gone", anything)


def mount_takes_another_object(patch: Patch) -> None:
    async def join(self: Holdings, digest: Digest, repository: RepositoryName, name: str) -> bool:
        try:
            changes: list[Change] = [Update(keys.CONTENT, {}), Put(keys.holder(repository), {})]
            await self._commit(digest, changes)
        except NotFound:
            return False
        return True

    patch.setattr(Holdings, "join", join)


def head_renews_nothing(patch: Patch) -> None:
    patch.setattr(Blobs, "find", Blobs.link)


def deletion_reads_edges_before_the_link(patch: Patch) -> None:
    async def delete(self: Blobs, repository: RepositoryName, digest: Digest) -> None:
        user = await self._contents.user(repository, digest)
        link = await self.link(repository, digest)
        if user:
            raise Unsupported(allow=[])
        try:
            await self._contents.commit(repository, [Delete(keys.blob(digest), link.etag)])
        except (Conflict, NotFound):
            raise Unsupported(allow=[]) from None

    patch.setattr(Blobs, "delete", delete)


def upload_shows_before_it_holds(patch: Patch) -> None:
    bring = Joining.bring

    async def hasty(
        self: Joining, repository: RepositoryName, digest: Digest, own: Content, made: Span
    ) -> None:
        link = Link(digest, own.size, own.object, self._clock())
        await self._contents.commit(repository, [Put(keys.blob(digest), link.values())])
        await bring(self, repository, digest, own, made)

    patch.setattr(Joining, "bring", hasty)


def upload_writes_any_link(patch: Patch) -> None:
    async def put(
        self: Joining, repository: RepositoryName, digest: Digest, joined: Content, sent: Span
    ) -> bool:
        link = Link(digest, joined.size, joined.object, self._clock())
        await self._contents.commit(repository, [Put(keys.blob(digest), link.values())])
        return True

    patch.setattr(Joining, "_link", put)


def upload_relies_on_what_was_long_ago(patch: Patch) -> None:
    patch.setattr(Span, "is_over", False)


def upload_believes_the_client(patch: Patch) -> None:
    def believe(hasher: Hasher, digest: Digest) -> None:
        return

    patch.setattr(uploads, "_check_digest", believe)


def upload_takes_up_what_another_call_made(patch: Patch) -> None:
    make = Uploads._make_object

    async def taken_up(
        self: Uploads, repository: RepositoryName, upload: Upload, digest: Digest
    ) -> Content | None:
        made = await make(self, repository, upload, digest)
        name = self._named(upload.object)
        facts = None if made else await self._stores.objects.facts(name)
        return Content(name, facts.etag, upload.offset) if facts else made

    patch.setattr(Uploads, "_make_object", taken_up)


def upload_replaces_sound_bytes(patch: Patch) -> None:
    async def offer(
        self: Holdings, digest: Digest, repository: RepositoryName, own: Content, *_: object
    ) -> Content:
        changes: list[Change] = [
            Put(keys.CONTENT, own.values()),
            Put(keys.good(own.object), {}),
            Put(keys.holder(repository), {}),
        ]
        await self._commit(digest, changes)
        return own

    patch.setattr(Holdings, "offer", offer)


def upload_notes_its_own_as_it_joins(patch: Patch) -> None:
    offer = Holdings.offer

    async def noting(
        self: Holdings, digest: Digest, repository: RepositoryName, own: Content, *said: Any
    ) -> Content:
        used = await offer(self, digest, repository, own, *said)
        if used.object != own.object:
            with suppress(Conflict):
                await self._commit(digest, [Insert(keys.gone(own.object), {"etag": own.etag})])
        return used

    patch.setattr(Holdings, "offer", noting)


def bad_bytes_are_joined(patch: Patch) -> None:
    async def condemn(self: Holdings, digest: Digest, bad: Content, _: datetime) -> bool:
        changes: list[Change] = [
            Update(keys.CONTENT, {"state": holdings.BAD}),
            Put(keys.gone(bad.object), {"etag": bad.etag, "bad": True}),
        ]
        await self._commit(digest, changes)
        return True

    patch.setattr(Holdings, "condemn", condemn)


def bad_bytes_are_let_go_at_once(patch: Patch) -> None:
    patch.setattr(healing, "ages", SimpleNamespace(L=timedelta(seconds=-1), Span=ages.Span))


def first_pass_takes_any_link(patch: Patch) -> None:
    async def withdraw(
        self: Healing, repository: RepositoryName, task: Task, sound: Content | None
    ) -> None:
        with suppress(NotFound):
            await self._contents.commit(repository, [Delete(keys.blob(task.digest))])

    patch.setattr(Healing, "_withdraw", withdraw)


def healing_brings_back_what_was_deleted(patch: Patch) -> None:
    async def linked(*_: object) -> bool:
        return True

    patch.setattr(Contents, "is_linked", linked)


def healing_is_forgotten(patch: Patch) -> None:
    async def forget(self: Holdings, digest: Digest, gone: Gone) -> bool:
        await self.forget(digest, gone)
        return True

    patch.setattr(Holdings, "let_go", forget)


def healing_does_not_heal(patch: Patch) -> None:
    async def nothing(*_: object) -> None:
        return

    patch.setattr(Healing, "_heal", nothing)


def the_last_one_out_leaves_the_note(patch: Patch) -> None:
    leaving = Holdings._leaving

    def leave(self: Holdings, held: Held, content: Row) -> list[Change]:
        return leaving(self, replace(held, gone=()), content)

    patch.setattr(Holdings, "_leaving", leave)


def leftovers_are_removed_at_once(patch: Patch) -> None:
    patch.setattr(leftovers, "_SETTLED", timedelta())


def leftovers_of_others_are_removed(patch: Patch) -> None:
    async def used(self: Leftovers, name: str, about: Origin) -> bool:
        return False

    patch.setattr(Leftovers, "_is_used", used)


FAULTS = [
    Fault(collector_deletes_any_link, "a push after HEAD", "promised|uses|without blob"),
    Fault(collector_strikes_off_any_holder, "an upload", "without|not among|not its content"),
    Fault(collector_forgets_who_else_leaves, "two holders", "content and no holder"),
    Fault(
        collector_does_not_see_who_joined_elsewhere,
        "an upload elsewhere",
        "not its content|holders and no content",
    ),
    Fault(
        collector_reads_whether_it_is_good_last,
        "an upload elsewhere, and one that leaves",
        "not its content|holders and no content",
    ),
    Fault(
        collector_takes_young_holders,
        "a deletion of a blob, and an upload",
        "not its content|not among",
    ),
    Fault(
        collector_waits_one_grace_period, "a push long after HEAD of a blob seen lately", "promised"
    ),
    Fault(collector_looks_for_no_edges, "a deletion", "without blob"),
    Fault(collector_removes_bytes_first, "an upload elsewhere", "not its bytes"),
    Fault(collector_stops_without_a_link, "an upload", "without a link", faults=True),
    Fault(collector_removes_bad_bytes, "one leaves bad bytes", "bad bytes that are gone"),
    Fault(
        mount_takes_another_object,
        "a mount of what is deleted and uploaded again",
        "not its content",
    ),
    Fault(head_renews_nothing, "a push after HEAD", "promised"),
    Fault(deletion_reads_edges_before_the_link, "a deletion of a blob and a push", "without blob"),
    Fault(upload_shows_before_it_holds, "an upload elsewhere", "not its content"),
    Fault(
        upload_writes_any_link, "an upload that stalls while bad bytes go", "gone|not its content"
    ),
    Fault(
        upload_relies_on_what_was_long_ago,
        "a deletion, a pause, the collector, and an upload",
        "not its content|not among",
    ),
    Fault(
        upload_relies_on_what_was_long_ago,
        "an upload that stalls while bad bytes go",
        "bad bytes that are gone",
    ),
    Fault(upload_believes_the_client, "an upload of something else", "not its bytes"),
    Fault(upload_takes_up_what_another_call_made, "two ends of one session", "not its bytes"),
    Fault(
        upload_takes_up_what_another_call_made,
        "another end of a session, and the collector",
        "not its bytes",
    ),
    Fault(upload_replaces_sound_bytes, "an upload elsewhere", "not its content"),
    Fault(
        upload_notes_its_own_as_it_joins, "bad bytes and an upload", "not sound|not its bytes|gone"
    ),
    Fault(bad_bytes_are_joined, "bad bytes and a mount", "joined, or forgotten"),
    Fault(
        bad_bytes_are_let_go_at_once, "bad bytes and an upload elsewhere", "bad bytes that are gone"
    ),
    Fault(first_pass_takes_any_link, "the first pass comes again", "promised"),
    Fault(healing_brings_back_what_was_deleted, "bad bytes and a deletion", "after its deletion"),
    Fault(healing_is_forgotten, "bad bytes, and an upload long after", "forgotten|not shown"),
    Fault(healing_does_not_heal, "bad bytes and an upload elsewhere", "not shown again"),
    Fault(the_last_one_out_leaves_the_note, "healing and leaving", "not forgotten"),
    Fault(leftovers_are_removed_at_once, "an upload, and a look at its object", "not its bytes"),
    Fault(leftovers_of_others_are_removed, "a push of an old blob", "not its bytes"),
]


@pytest.mark.parametrize(
    "fault", FAULTS, ids=[f"{fault.plant.__name__}-{fault.scenario}" for fault in FAULTS]
)
def test_a_planted_fault_is_found(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    find(fault, SCENARIOS[fault.scenario], monkeypatch)
