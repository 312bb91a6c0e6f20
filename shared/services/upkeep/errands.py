"""Upkeep: what is done behind the queue `upkeep`, an errand at a time.

Each errand looks at what is there first. It may come twice, late, or when another has done it.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

from shared.errors import ManifestUnknown, Unsupported
from shared.events import Cause, ManifestDeleted, ManifestPushed, RepositoryDeleted, read
from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.services.content.manifests import Manifests
from shared.services.deletions.endings import Deletion, Superseded
from shared.services.deletions.repositories import RepositoryDeletions
from shared.services.deletions.restores import Restores
from shared.services.events.fallback_lists import FallbackLists
from shared.services.upkeep.builds import Builds
from shared.services.upkeep.purge import Purge
from shared.services.upkeep.retirement import Retirement
from shared.services.verification.copies import Copies
from shared.services.verification.healing import Healing, Stage, Task
from shared.storage import keys
from shared.storage.messages.errands import Errand, Kind
from shared.storage.stores import Stores

_LIVES = 100
"""How many lives an errand looks at; for more it is sent again."""


class Upkeep:
    """Runs the errands of one registry generation."""

    def __init__(
        self,
        stores: Stores,
        manifests: Manifests,
        restores: Restores,
        deletions: RepositoryDeletions,
        purge: Purge,
        lists: FallbackLists,
    ) -> None:
        self._stores = stores
        self._manifests = manifests
        self._restores = restores
        self._deletions = deletions
        self._purge = purge
        self._lists = lists
        self._healing = Healing(stores)
        self._copies = Copies(stores)
        self._builds = Builds(stores)
        self._retirement = Retirement(stores)

    async def run(self, errand: Errand) -> None:
        """Do it; raises RegistryError where the repository is busy or locked, StorageError."""
        repository = errand.repository
        match errand.kind:
            case Kind.KEEP_LIST:
                await self._lists.follow(repository, read(_fields(errand, "event")))
            case Kind.AFTER_PUSH:
                await self._after_push(errand)
            case Kind.AFTER_DELETION:
                await self._see_to(errand)
            case Kind.RETIRE:
                await self._retirement.retire(repository)
            case Kind.PURGE:
                await self._purge.purge(repository, _digest(errand), errand.text("life"))
                await self.keep(repository)
            case Kind.COPY_BODY | Kind.HEAL:
                await self._mend(errand)
            case _:
                await self._bring_to_its_end(errand)

    async def _bring_to_its_end(self, errand: Errand) -> None:
        """Go on with a sequence that may have died on the way."""
        match errand.kind:
            case Kind.END_BUILD:
                await self._builds.end(errand.repository, _digest(errand), errand.text("life"))
            case Kind.END_DELETION:
                await self._end_deletion(errand)
            case Kind.END_RESTORE:
                await self._end_restore(errand)
            case _:
                await self._deletions.go_on(errand.repository, errand.text("deletion"))

    async def _mend(self, errand: Errand) -> None:
        """Put sound bytes in the place of bad ones."""
        repository, digest, bad = errand.repository, _digest(errand), errand.text("bad")
        if errand.kind is Kind.COPY_BODY:
            await self._copies.make_anew(repository, digest, errand.text("life"), bad)
        elif bad:
            stage, after = Stage(errand.text("stage")), errand.text("holder")
            await self._healing.go_on(repository, Task(digest, bad, stage, after))
        else:
            is_last = bool(errand.text("is_last"))
            await self._healing.begin(repository, digest, is_last=is_last)

    async def keep(self, repository: RepositoryName) -> None:
        """List a repository among those of which something is kept, as long as that is so."""
        etag = await self._stores.index.keep(repository)
        if not await self._stores.deleted.page(repository, "", 1):
            await self._stores.index.let_go(repository, etag)

    async def _after_push(self, errand: Errand) -> None:
        """See to a life that a push began: its body is copied, and what rotted gives to it.

        It gives the attributes that it had, and its tags.

        A push of what was there already made nothing to see to.
        """
        event, repository = read(_fields(errand, "event")), errand.repository
        if not isinstance(event, ManifestPushed):
            return
        digest, contents = Digest.parse(event.digest), self._stores.contents
        record = await contents.manifest(repository, digest, with_body=True)
        if record is None or record.pushed != event.at:
            return
        await self._copies.make(repository, record)
        for life in await self._stores.deleted.rotten(repository, digest):
            await self._restores.lock_again(repository, digest, life)
            await self._restores.bring_back(repository, digest, life, by=event.cause)
            name = keys.object_name(self._stores.generation, life)
            await self._stores.scrubs.healed(name, self._stores.clock())

    async def _see_to(self, errand: Errand) -> None:
        """See to what a deletion left: it is listed, purged in time, and the last one retires."""
        event = read(_fields(errand, "event"))
        await self.keep(errand.repository)
        if isinstance(event, ManifestDeleted):
            digest = Digest.parse(event.digest)
            is_gone = await self._purge.purge(errand.repository, digest, event.life)
        else:
            is_gone = await self._purge_some(errand, cast("RepositoryDeleted", event).deletion)
        if is_gone:
            await self.keep(errand.repository)
        await self._retirement.retire(errand.repository)

    async def _purge_some(self, errand: Errand, deletion: str) -> bool:
        """Purge, or send upkeep to purge, what a repository's deletion took: of a page of lives.

        True where any of it is gone. Other lives have had an event of their own.
        """
        after, is_any_gone = errand.text("after"), False
        page = await self._stores.deleted.page(errand.repository, after, _LIVES)
        for deleted in page:
            record = deleted.manifest
            if deleted.deletion == deletion:
                is_gone = await self._purge.purge(errand.repository, record.digest, record.life)
                is_any_gone = is_any_gone or is_gone
            after = f"{record.digest}|{record.life}"
        if len(page) == _LIVES:
            rest = replace(errand, fields={**errand.fields, "after": after})
            await self._stores.errands.send_again(rest, timedelta())
        return is_any_gone

    async def _end_deletion(self, errand: Errand) -> None:
        """Finish a deletion whose id still stands in its manifest; else give the tags back."""
        repository, digest = errand.repository, _digest(errand)
        record = await self._stores.contents.manifest(repository, digest, with_body=False)
        if record is None or record.life != errand.text("life"):
            return
        by = Cause(**_fields(errand, "cause"))
        if record.deletion == errand.text("deletion") or errand.text("rotten"):
            try:
                await self._manifests.carry_out(self._deletion(errand, by))
            except (ManifestUnknown, Superseded, Unsupported):
                pass
            else:
                return
        deletion = errand.text("deletion")
        await self._restores.give_back(repository, digest, record.life, deletion, by=by)

    def _deletion(self, errand: Errand, by: Cause) -> Deletion:
        deletion = self._manifests.deletion(errand.repository, _digest(errand), by=by)
        deletion.id, deletion.rotten = errand.text("deletion"), errand.text("rotten")
        deletion.is_yielding = True
        deletion.at = datetime.fromisoformat(errand.text("at"))  # both by the clock of one host
        deletion.until = datetime.fromisoformat(errand.text("until"))
        deletion.subject = errand.text("subject")
        deletion.subject_life = errand.text("subject_life")
        if deletion.subject:
            deletion.is_meant = self._purge.goes_with(deletion)
        return deletion

    async def _end_restore(self, errand: Errand) -> None:
        """Bring back the tags of a life whose manifest a restore has pushed."""
        repository, digest = errand.repository, _digest(errand)
        record = await self._stores.contents.manifest(repository, digest, with_body=False)
        if record is None or record.life != errand.text("fresh"):
            return
        by = Cause(**_fields(errand, "cause"))
        life = errand.text("life")
        await self._restores.finish(repository, digest, life, by=by, live=record.life)


def _digest(errand: Errand) -> Digest:
    return Digest.parse(errand.text("digest"))


def _fields(errand: Errand, name: str) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", errand.fields[name])
