"""Faults planted in the catalog, in events and in what tells upkeep: the simulation finds each."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from shared.model.names import RepositoryName
from shared.services.deletions.repositories import RepositoryDeletions
from shared.services.events import fan_out
from shared.services.events.fan_out import FanOut
from shared.services.upkeep import retirement
from shared.services.upkeep.builds import Builds
from shared.services.upkeep.purge import Purge
from shared.services.upkeep.retirement import Fate
from shared.storage import keys
from shared.storage.ages import Span
from shared.storage.messages.errands import Errands, Kind
from shared.storage.ports import Change, Delete, NotFound, Put, Row, Update
from shared.storage.rows.contents import Contents
from shared.storage.rows.index import Index
from tests.simulation.manifests.test_planted_manifest_faults import Fault, find

type Patch = pytest.MonkeyPatch


def retirement_forgets_what_it_was(patch: Patch) -> None:
    patch.setattr(
        retirement,
        "Update",
        lambda key, _, etag: Delete(key, etag) if key == keys.REPOSITORY else None,
    )


def a_deletion_forgets_what_it_was(patch: Patch) -> None:
    commit = Contents.commit

    async def forgetful(
        self: Contents, repository: RepositoryName, changes: Sequence[Change]
    ) -> list[str]:
        updates = [it for it in changes if isinstance(it, Update)]
        is_over = any(it.values.get("deletion") == "" for it in updates)
        mended = [
            Put(it.key, it.values)
            if is_over and isinstance(it, Update) and it.key == keys.REPOSITORY
            else it
            for it in changes
        ]
        return await commit(self, repository, mended)

    patch.setattr(Contents, "commit", forgetful)


def retirement_takes_young_names(patch: Patch) -> None:
    fate = retirement._fate

    def hasty(*rows: Row | None) -> Fate:
        found = fate(*rows)
        return Fate.STRUCK_OFF if found is Fate.LATER else found

    patch.setattr(retirement, "_fate", hasty)


def retirement_reads_the_catalog_last(patch: Patch) -> None:
    remove = Index.remove

    async def late(self: Index, repository: RepositoryName, _: str) -> bool:
        return await remove(self, repository, await self.etag(repository))

    patch.setattr(Index, "remove", late)


def what_is_kept_is_let_go_blindly(patch: Patch) -> None:
    async def blind(self: Index, repository: RepositoryName, etag: str) -> None:
        with suppress(NotFound):
            row = Delete(keys.encode_repository(repository))
            await self._rows.commit(keys.REPOSITORIES, self._kept(), [row])

    patch.setattr(Index, "let_go", blind)


def what_is_purged_at_once_stays_listed(patch: Patch) -> None:
    purge = Purge.purge

    async def silent(self: Purge, *arguments: Any, **options: Any) -> bool:
        await purge(self, *arguments, **options)
        return False

    patch.setattr(Purge, "purge", silent)


def a_deletion_goes_on_with_whatever_is_there(patch: Patch) -> None:
    async def go_on(
        self: RepositoryDeletions, repository: RepositoryName, deletion: str = ""
    ) -> None:
        listed = await self._stores.index.row(repository)
        row = await self._contents.repository(repository)
        if row and listed:
            whole = Row(
                row.key,
                {"deletion_at": self._stores.clock(), **row.values, "deletion": deletion or "d"},
                row.etag,
                row.age,
            )
            with suppress(Exception):
                await self._end_lives(repository, whole, Span(self._stores.ticks))
            await self._stores.index.remove(repository, listed.etag)

    patch.setattr(RepositoryDeletions, "go_on", go_on)


def messages_drop_soon(patch: Patch) -> None:
    waits = (timedelta(seconds=10), timedelta(seconds=20), timedelta(seconds=40))
    patch.setattr(fan_out, "_waits", lambda: waits)


def a_name_is_not_retired_when_a_message_drops(patch: Patch) -> None:
    send = Errands.send

    async def silent(self: Errands, kind: Kind, *arguments: Any, **fields: Any) -> None:
        if kind is not Kind.RETIRE:
            await send(self, kind, *arguments, **fields)

    patch.setattr(Errands, "send", silent)


def events_are_marked_first(patch: Patch) -> None:
    hand_on = FanOut._hand_on

    async def hasty(self: FanOut, repository: RepositoryName, row: Row, *webhooks: Any) -> None:
        with suppress(NotFound):
            await self._contents.commit(repository, [Update(row.key, {"state": "handed"})])
        await hand_on(self, repository, row, *webhooks)

    patch.setattr(FanOut, "_hand_on", hasty)


def upkeep_is_not_told(kind: Kind) -> Callable[[Patch], None]:
    """Plant: nobody is sent on errands of a kind."""

    def plant(patch: Patch) -> None:
        send = Errands.send

        async def silent(self: Errands, each: Kind, *arguments: Any, **fields: Any) -> None:
            if each is not kind:
                await send(self, each, *arguments, **fields)

        patch.setattr(Errands, "send", silent)

    plant.__name__ = f"upkeep_is_not_told_to_{kind.value.replace(' ', '_')}"
    return plant


def builds_are_stripped_whoever_needs_them(patch: Patch) -> None:
    async def needless(*_: object) -> bool:
        return False

    patch.setattr(Builds, "_is_needed", needless)


FAULTS = [
    Fault(
        retirement_forgets_what_it_was,
        "what nobody may read retires, and a push comes",
        "everyone reads",
    ),
    Fault(
        a_deletion_forgets_what_it_was,
        "what nobody may read goes, and a push comes",
        "everyone reads",
    ),
    Fault(retirement_takes_young_names, "retiring what never was", "catalog"),
    Fault(retirement_reads_the_catalog_last, "retiring what is empty", "catalog"),
    Fault(what_is_kept_is_let_go_blindly, "a purge when it is due, and another deletion"),
    Fault(what_is_purged_at_once_stays_listed, "a deletion", "keeps nothing"),
    Fault(
        a_deletion_goes_on_with_whatever_is_there,
        "a repository goes, is pushed to, and upkeep goes on",
    ),
    Fault(messages_drop_soon, "a slow push, and who listens", "nobody hears", faults=True),
    Fault(
        a_name_is_not_retired_when_a_message_drops,
        "a first push, and it retires as late as it may come",
        "for nothing",
        faults=True,
    ),
    Fault(events_are_marked_first, "a deletion is handed on twice", faults=True),
    Fault(builds_are_stripped_whoever_needs_them, "a large push that stays, and echo 0"),
    Fault(upkeep_is_not_told(Kind.END_BUILD), "a build, and who ends it", faults=True),
    Fault(
        upkeep_is_not_told(Kind.END_DELETION),
        "a deletion of two tags, and a push of the same",
        faults=True,
    ),
    Fault(
        upkeep_is_not_told(Kind.DELETE_REPOSITORY), "a repository goes, and retires", faults=True
    ),
    Fault(upkeep_is_not_told(Kind.AFTER_DELETION), "a push and a deletion"),
]


@pytest.mark.parametrize(
    "fault", FAULTS, ids=[f"{fault.plant.__name__}-{fault.scenario}" for fault in FAULTS]
)
def test_a_planted_fault_is_found(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    find(fault, monkeypatch)
