"""The sweep: it goes through all rows and objects of a registry, page by page, and begins anew.

Messages go before changes, so upkeep finds what it needs without searching. What a crash leaves all
the same, by way of messages that were lost or given up, is found here, however late. The walks go
from the top down, so that what one takes the next finds in the same round:

    listed, kept   the lists of repositories        (`index`)
    contents       the rows of repositories         (`contents`)
    blobs          the rows of digests              (`blobs`)
    objects        the objects                      (`garbage.leftovers`)

A page tells what was there when it was read, and a registry that is at work is in the midst of
something everywhere. What is touched all the same, and why it is nobody's:

    it is old           by the store's own clock, by 2 L or more since it was last written: no
                        request that wrote it is under way. What waits for its time, as links, lives
                        and history do, is older than that by as much
    it is told          where upkeep, the collector or healing know how. They look at what is there
                        by then: so a page may be stale, swept twice, or by two at once
    it is as it was     where the sweep takes a row itself, which nobody may add to: by the ETag
                        that the page gave

While removers are halted, as rows may be missing, nothing is seen to: it is found again in the next
round. An edge may be back before the manifest that it comes from.

Nothing stops it for good: what cannot be understood, or seen to, is told in the log and passed over
until the next round. Where storage fails, the page is swept again; where it no longer goes on from
the position that is kept, the round begins anew.

What is told is at most a message for each row of a page: a call is bounded. Where it ends is kept
in a row, after the page: who dies sweeps that page again.

A dry run is the same, but for telling and taking.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from shared.errors import RegistryError
from shared.services.garbage.garbage import Garbage
from shared.services.garbage.leftovers import Leftovers
from shared.services.sweep.blobs import BlobsSweep
from shared.services.sweep.contents import ContentsSweep
from shared.services.sweep.findings import Finding, Told, What
from shared.services.sweep.index import IndexSweep
from shared.storage.ports import Row, StorageError
from shared.storage.rows.rounds.walks import PositionRefused, Saved, Stretch
from shared.storage.stores import Stores

_log = logging.getLogger(__name__)

_PAGE = 200

type _Walk = Callable[[str], Awaitable[_Found]]


@dataclass(frozen=True, slots=True)
class Swept:
    """What a page showed, and the position of the next one; empty at the end of a round.

    `left` are those of the findings that were not seen to: it failed, or removers are halted.
    """

    findings: tuple[Finding, ...]
    position: str
    left: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    findings: AsyncIterator[Finding]
    position: str


class Sweep:
    """Sweeps one registry generation.

    `grace` is how long a blob is safe after it was last used, `kept` for how long what is deleted
    can come back, `lifetime` how long an upload may take.
    """

    def __init__(
        self, stores: Stores, told: Told, *, grace: timedelta, kept: timedelta, lifetime: timedelta
    ) -> None:
        self._stores = stores
        self._walks = stores.walks
        self._index = IndexSweep(stores)
        self._contents = ContentsSweep(stores, told, lately=grace * 3 / 2, kept=kept)
        self._blobs = BlobsSweep(stores, Garbage(stores, grace), told)
        self._leftovers = Leftovers(stores, lifetime)
        self._look = Leftovers(stores, lifetime, is_dry=True)
        self._round: dict[str, _Walk] = {
            "listed": _over(self._walks.listed, self._index.listed),
            "kept": _over(self._walks.kept, self._index.kept),
            "contents": _over(self._walks.contents, self._contents.look),
            "blobs": _over(self._walks.blobs, self._blobs.look),
            "objects": self._objects,
        }

    async def go_on(self) -> Swept:
        """Sweep the page that is next, and keep where that ended."""
        return await self._go_on(await self._walks.saved())

    async def go_on_with_round(self, pause: timedelta) -> bool:
        """Do the same, but begin no round sooner than `pause` after the last; tell if it lasts."""
        saved = await self._walks.saved()
        if not saved.position and saved.begun is not None and saved.begun < pause:
            return False
        return bool((await self._go_on(saved)).position)

    async def _go_on(self, saved: Saved) -> Swept:
        try:
            swept = await self.sweep(saved.position)
        except PositionRefused as error:
            _log.warning("a round of the sweep begins anew: %s", error)
            saved = replace(saved, position="")
            swept = await self.sweep()
        if await self._walks.save(saved, swept.position) and not swept.position:
            _log.info("a round of the sweep is over")
        return swept

    async def sweep(self, position: str = "", *, is_dry: bool = False) -> Swept:
        """Sweep the page at a position that an earlier one gave; any other one begins a round."""
        names = list(self._round)
        name, _, rest = position.partition("|")
        if name not in self._round:
            name, rest = names[0], ""
        found = await self._round[name](rest)
        findings: list[Finding] = []
        left: list[Finding] = []
        is_halted = False
        async for finding in found.findings:
            findings.append(finding)
            if is_dry:
                continue
            is_halted = is_halted or await self._stores.removal_is_halted()
            if is_halted or not await _mend(finding):
                left.append(finding)
        following = names[names.index(name) + 1 :]
        position = f"{following[0]}|" if following else ""
        if found.position:
            position = f"{name}|{found.position}"
        return Swept(tuple(findings), position, tuple(left))

    async def _objects(self, position: str) -> _Found:
        swept = await self._look.sweep(position)

        async def findings() -> AsyncIterator[Finding]:
            for name in swept.removed:
                yield Finding(What.OBJECT, "", (name,), partial(self._leftovers.look_at, name))

        return _Found(findings(), swept.position)


def _over[Where](
    read: Callable[[str, int], Awaitable[Stretch[Where]]],
    look: Callable[[Sequence[tuple[Where, Row]]], AsyncIterator[Finding]],
) -> _Walk:
    """Let one look at each page that another reads."""

    async def walk(position: str) -> _Found:
        stretch = await read(position, _PAGE)
        return _Found(look(stretch.rows), stretch.position)

    return walk


async def _mend(finding: Finding) -> bool:
    """See to a finding; what fails now, for whatever reason, is found again in the next round."""
    try:
        await finding.mend()
    except (RegistryError, StorageError) as error:
        _log.warning("%s of %s is left for now: %s", finding.keys, finding.where, error)
    except Exception:  # noqa: BLE001 - whatever it is, other pages are waiting
        _log.exception("%s of %s is left, as it cannot be seen to", finding.keys, finding.where)
    else:
        _log.info("found %s: %s of %s", finding.what, finding.keys, finding.where)
        return True
    return False
