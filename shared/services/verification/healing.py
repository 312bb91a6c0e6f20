"""Healing: bad bytes leave service, and the next sound ones take their place wherever they were.

`Verification` condemns them: nobody joins them any more, and they are noted (`gone|`). What follows
goes through the holders in pages, each a task that says where the next one begins:

    WITHDRAW  take each link that names the bad object, as it was read: a HEAD is 404, so clients
              push again, and an event tells. The holders stay. The next good upload becomes the
              content
    SETTLE    once the note is twice L old, so that every join that was under way has written its
              link: the same for links that came late, but where there is sound content by now, they
              are pointed to it. Only then the bad object is removed
    HEAL      once there is sound content: show it wherever a manifest that counts uses the blob by
              its link. What was deleted stays deleted

SETTLE and HEAL begin anew where removers are halted: rows that they looked for may be missing.

The note goes when the object is removed and a HEAL that began with sound content has come to its
end; or with the last holder. Each task may come twice, late, or before another: it looks at what is
there, and takes or changes links under the ETag that it read.

Whoever condemns bytes, or is about to replace bad ones, sends a message first. It leads to a
message for each task, and each page to that of the next. Where it finds no sound content it comes
once more, when what it was sent before is done, or never will be. Who meets an unfinished pass
sends it too.

    upload joins before the bytes are condemned, and links after WITHDRAW   SETTLE sees that link
    upload joins after                                                      it joins sound bytes
    a push, a HEAD between reading a link and taking it                     the link is read again
    blob DELETE, the manifest's DELETE                                      HEAL finds no edge
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from shared.errors import Unavailable
from shared.events import BlobWithdrawn, Cause, values
from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.services.content.joining import Joining
from shared.storage import ages, halt, keys
from shared.storage.messages.errands import NOWHERE, Kind
from shared.storage.ports import Change, Conflict, Delete, Insert, NotFound, Update, Value
from shared.storage.rows.holdings import GOOD, Content, Gone, content_of
from shared.storage.rows.records import Link
from shared.storage.stores import Stores

_TRIES = 8
_PAGE = 100
_TICK = timedelta(seconds=2)
"""How much longer than an age what goes by it waits: ages are told to the second."""


class Fate(StrEnum):
    """What becomes of a holder's link."""

    WITHDRAWN = "withdrawn"
    POINTED = "pointed to sound bytes"
    HEALED = "shown again"
    LEFT = "left as it is"


class Stage(StrEnum):
    """What is done with each holder."""

    WITHDRAW = "withdraw"
    SETTLE = "settle"
    HEAL = "heal"


@dataclass(frozen=True, slots=True)
class Task:
    """A page of a healing: of which bad object, what is done, and which holder it begins after."""

    digest: Digest
    bad: str
    stage: Stage
    after: str = ""
    wait: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Page:
    """What was done with each holder of a page, which object was removed, and the next task."""

    fates: Mapping[RepositoryName, Fate]
    removed: str = ""
    task: Task | None = None


class Healing:
    """Heals what was condemned. With `is_dry` it changes nothing, and says what it would do.

    A dry run does not wait, and ends where the next stage would find what this one has changed.
    """

    def __init__(self, stores: Stores, *, is_dry: bool = False) -> None:
        self._stores = stores
        self._contents = stores.contents
        self._holdings = stores.holdings
        self._objects = stores.objects
        self._errands = stores.errands
        self._clock = stores.clock
        self._joining = Joining(stores)
        self._is_dry = is_dry

    async def begin(
        self, repository: RepositoryName, digest: Digest, *, is_last: bool = False
    ) -> None:
        """Send a message for each task that is to be done by now; come again unless `is_last`."""
        tasks = await self.unfinished(digest)
        for task in tasks:
            await self._send(repository, task)
        if not is_last and Stage.HEAL not in {task.stage for task in tasks}:
            await self._errands.send(
                Kind.HEAL, repository, after=2 * ages.L, digest=str(digest), is_last="yes"
            )

    async def go_on(self, repository: RepositoryName, task: Task) -> None:
        """Do a page, and send the message of the next."""
        later = await self.do(task)
        if later:
            await self._send(repository, later)

    async def ask(self, task: Task) -> None:
        """Send the message of a task; it names a repository that holds the blob, if any does."""
        holders = await self._holdings.holders(task.digest, "", 1)
        await self._send(holders[0] if holders else NOWHERE, task)

    async def _send(self, repository: RepositoryName, task: Task) -> None:
        await self._errands.send(
            Kind.HEAL,
            repository,
            after=task.wait,
            digest=str(task.digest),
            bad=task.bad,
            stage=task.stage,
            holder=task.after,
        )

    async def unfinished(self, digest: Digest) -> list[Task]:
        """Tell what is to be done for a blob; nothing for one that nothing is wrong with."""
        found = [gone for gone in await self._holdings.gone(digest) if gone.is_bad]
        is_sound = bool(found) and await self._sound(digest) is not None
        tasks: list[Task] = []
        for gone in found:
            if not gone.is_removed:
                tasks.append(Task(digest, gone.object, Stage.WITHDRAW))
            if is_sound and not gone.is_healed:
                tasks.append(Task(digest, gone.object, Stage.HEAL))
        return tasks

    async def do(self, task: Task) -> Task | None:
        """Do a page; give the next task, which is to wait for so long, or None at the end."""
        return (await self.page(task)).task

    async def page(self, task: Task) -> Page:
        """Do a page; tell what was done, or would be, and what is to follow."""
        gone = await self._noted(task)
        if gone is None:
            return Page({})
        if self._is_early(task, gone):
            return Page({}, task=replace(task, wait=2 * ages.L - gone.row.age + _TICK))
        sound = await self._sound(task.digest)
        if task.stage is Stage.HEAL and sound is None:
            return Page({})
        holders = await self._holdings.holders(task.digest, task.after, _PAGE)
        fates = {repository: await self._treat(task, repository, sound) for repository in holders}
        if await self._is_halted(task):
            return Page(fates, task=replace(task, after="", wait=halt.AGAIN))
        if len(holders) == _PAGE:
            after = keys.holder(holders[-1])
            return Page(fates, task=replace(task, after=after, wait=timedelta()))
        removed = gone.object if task.stage is Stage.SETTLE else ""
        return Page(fates, removed, None if self._is_dry else await self._end(task, gone))

    def _is_early(self, task: Task, gone: Gone) -> bool:
        is_due = self._is_dry or gone.is_removed or gone.row.age > 2 * ages.L
        return task.stage is Stage.SETTLE and not is_due

    async def _is_halted(self, task: Task) -> bool:
        """Tell whether a link or an edge may have been missing when it was looked for."""
        is_asked = not self._is_dry and task.stage is not Stage.WITHDRAW
        return is_asked and await self._stores.removal_is_halted()

    async def _treat(self, task: Task, repository: RepositoryName, sound: Content | None) -> Fate:
        if task.stage is Stage.WITHDRAW:
            return await self._withdraw(repository, task, None)
        if task.stage is Stage.SETTLE or sound is None:
            return await self._withdraw(repository, task, sound)
        return await self._heal(repository, task, sound)

    async def _withdraw(
        self, repository: RepositoryName, task: Task, sound: Content | None
    ) -> Fate:
        """Take the link if it names the bad object, or point it to sound bytes."""
        event, told = self._stores.outbox.key(self._clock()), None
        for _ in range(_TRIES):
            link = await self._contents.link(repository, task.digest)
            if link is None or link.object != task.bad:
                return Fate.LEFT
            if self._is_dry:
                return Fate.POINTED if sound else Fate.WITHDRAWN
            if sound and await self._holdings.join(task.digest, repository, sound.object):
                about: dict[str, Value] = {"object": sound.object, "size": sound.size}
                changes: list[Change] = [Update(keys.blob(task.digest), about, link.etag)]
            else:
                told = await self._tell(repository, event, told)
                changes = self._taken(task.digest, link, event)
            try:
                await self._contents.commit(repository, changes)
            except (Conflict, NotFound):
                continue
            return Fate.WITHDRAWN if len(changes) > 1 else Fate.POINTED
        raise Unavailable(f"{task.digest} is being changed too often: heal it later")

    async def _tell(
        self, repository: RepositoryName, event: str, told: ages.Span | None
    ) -> ages.Span:
        """Tell of a link that is about to be taken, unless that holds still."""
        if told is None or told.is_over:
            told = ages.Span(self._stores.ticks, ages.L)
            await self._stores.outbox.promise(repository, [event])
        return told

    def _taken(self, digest: Digest, link: Link, event: str) -> list[Change]:
        """Take a link as it was read, and tell of it."""
        withdrawn = BlobWithdrawn(str(digest), Cause("verification"), self._clock())
        return [Delete(keys.blob(digest), link.etag), Insert(event, values(withdrawn))]

    async def _heal(self, repository: RepositoryName, task: Task, sound: Content) -> Fate:
        link = await self._contents.link(repository, task.digest)
        is_shown = link is not None and link.object != task.bad
        if is_shown or not await self._contents.is_linked(repository, task.digest):
            return Fate.LEFT
        if self._is_dry or await self._joining.restore(repository, task.digest, sound):
            return Fate.HEALED
        return Fate.LEFT

    async def _end(self, task: Task, gone: Gone) -> Task | None:
        if task.stage is Stage.WITHDRAW:
            return replace(task, stage=Stage.SETTLE, after="", wait=2 * ages.L + _TICK)
        if task.stage is Stage.SETTLE:
            await self._objects.delete(gone.object, gone.etag)
        else:
            await self._stores.scrubs.healed(task.bad, self._clock())
        for _ in range(_TRIES):
            now = await self._noted(task)
            if now is None or await self._holdings.let_go(task.digest, _done(now, task.stage)):
                return None
        raise Unavailable(f"{task.digest} is being changed too often: heal it later")

    async def _noted(self, task: Task) -> Gone | None:
        found = await self._holdings.gone(task.digest)
        return next((gone for gone in found if gone.is_bad and gone.object == task.bad), None)

    async def _sound(self, digest: Digest) -> Content | None:
        row = await self._holdings.content(digest)
        return content_of(row) if row and row.values["state"] == GOOD else None


def _done(gone: Gone, stage: Stage) -> Gone:
    if stage is Stage.SETTLE:
        return replace(gone, is_removed=True)
    return replace(gone, is_healed=True)
