"""The scrub: what was verified long ago is verified again, page by page, round and round.

A round walks in the order of keys, from a position that is kept in a row:

    blobs      each row `content`: its object hashes to its digest (`verification`)
    contents   each row `manifest|`: the body in it, and the object with the body or a copy of it

So a row whose object is missing is found, too; an object without a row is the sweep's. What was
verified within a week is skipped, unless an operator wants all of it read, and so is what has only
just been made: that has a message of its own. What is large goes to the queue `verification`, and
is counted when it is handed over.

How much is read is bounded: so many bytes a day, a twenty-fourth of them at each hour's tick. What
a tick reads beyond that is a debt, and later ticks wait until it is paid; a round begins at most
once a day. All that is told by the age of the row, by the store's own clock: a host whose clock is
wrong holds up nothing for longer than a day. A tick that is not due reads that row, and no more.

    a tick dies            what it did since the last page is done again
    two go on at a time    each page is kept under the ETag that was read: the second one stops
    an operator's round    holds the row, and says so anew each minute: a tick that is under way
                           stops, later ones wait. Where it dies they go on with it after HELD
    a position is refused  by storage: the round begins anew with the next tick
    a row fails            it is told in the log, and counted; the next round comes to it again
"""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.services.verification.verification import Verification, Verified
from shared.storage import keys
from shared.storage.ages import Span
from shared.storage.messages.verifying import ToVerify
from shared.storage.ports import Row
from shared.storage.rows.holdings import GOOD, content_of
from shared.storage.rows.rounds.scrubs import MISSING, Damage, Round, Saved, Scrubs
from shared.storage.rows.rounds.walks import PositionRefused
from shared.storage.stores import Stores

_log = logging.getLogger(__name__)

_PAGE = 200
_DAY = timedelta(days=1)
_SLACK = timedelta(minutes=5)
"""How much too early a tick may come: timers and ages are not exact."""

TICK = timedelta(minutes=4)
SETTLED = timedelta(minutes=15)
LATELY = timedelta(days=7)
KEPT = timedelta(days=90)
LARGE_BYTES = 1024**3
HELD = timedelta(minutes=15)
"""For how long an operator's round holds the row: for longer than any one object takes."""
MOST_TOLD = 1_000
_BEAT = timedelta(minutes=1)
_TRIES = 8


@dataclass(frozen=True, slots=True)
class Report:
    """How far the scrub is, what the last whole round came upon, and what was found bad.

    `damages` are MOST_TOLD at the most, first those that are not healed; there are so many `more`.
    `lost` are those of the damages that nobody needs any more.
    """

    round: Round | None
    last: Round | None
    damages: Sequence[Damage]
    lost: frozenset[str]
    more: int = 0


class Scrub:
    """Scrubs one registry generation; `a_day` is how many bytes it reads, 0: none."""

    def __init__(self, stores: Stores, verification: Verification, a_day: int) -> None:
        self._stores = stores
        self._scrubs = stores.scrubs
        self._clock = stores.clock
        self._verification = verification
        self._a_day = a_day

    async def tick(self) -> Round | None:
        """Go on, if it is time; give what the round has come upon so far."""
        if not self._a_day:
            return None
        saved = await self._scrubs.saved()
        owed = self._owed(saved)
        is_resting = saved.round is None and saved.age + _SLACK < saved.rest
        if owed > self._a_day * (_SLACK / _DAY) or is_resting or saved.is_held:
            return None
        budget = max(self._a_day // 24, 1)
        span, saved = Span(self._stores.ticks, TICK), replace(saved, debt=owed)
        run = _Run(self._stores, self._verification, saved, span, budget)
        try:
            return await run.go_on()
        except PositionRefused as error:
            _log.warning("a round of the scrub begins anew at the next tick: %s", error)
            await run.begin_anew()
            return None

    async def run(
        self, progress: Callable[[Round], object], *, is_all: bool = False
    ) -> Round | None:
        """Do a whole round now, or (`is_all`) one that skips nothing that was verified lately.

        None where another such round goes on at the same time. A tick gives way.
        """
        for _ in range(_TRIES):
            saved = await self._scrubs.saved()
            if saved.is_held:
                break
            owed = self._owed(saved)
            fresh = replace(saved, walk="", position="", done="", debt=owed, round=None)
            run = _Run(self._stores, self._verification, fresh, is_all=is_all)
            if await run.hold():
                return await run.go_on(progress)
        return None

    def _owed(self, saved: Saved) -> int:
        return max(saved.debt - round(self._a_day * (saved.age / _DAY)), 0)

    async def report(self) -> Report:
        """Tell what was checked, found and healed."""
        saved = await self._scrubs.saved()
        damages, count = list[Damage](), 0
        async for page in _pages(self._scrubs):
            count += len(page)
            damages = sorted([*damages, *page], key=lambda one: one.healed is not None)[:MOST_TOLD]
        lost = [
            one.object
            for one in damages
            if not one.healed and not await _is_used(self._stores, one)
        ]
        return Report(saved.round, saved.last, damages, frozenset(lost), count - len(damages))


async def tick_all(scrubs: Sequence[Scrub], ticks: Callable[[], float], hour: int) -> None:
    """Let all go on, one after the other; raises what the first to fail did, once all have been.

    Each hour another one begins, as the first may take all the time that there is.
    """
    span, first, failed = Span(ticks, TICK), hour % max(len(scrubs), 1), list[Exception]()
    for scrub in (*scrubs[first:], *scrubs[:first]):
        if span.is_over:
            break
        try:
            await scrub.tick()
        except Exception as error:  # noqa: BLE001 - whatever it is, other registries are waiting
            _log.warning("a scrub goes on at the next tick: %r", error)
            failed.append(error)
    if failed:
        raise failed[0]


class _Run:
    """One tick, or a whole round."""

    def __init__(
        self,
        stores: Stores,
        verification: Verification,
        saved: Saved,
        span: Span | None = None,
        budget: int | None = None,
        *,
        is_all: bool = False,
    ) -> None:
        self._span = span
        self._held = timedelta()
        self._beat = Span(stores.ticks, _BEAT)
        self._lately = timedelta() if is_all else LATELY
        self._budget = budget
        self._stores = stores
        self._scrubs = stores.scrubs
        self._clock = stores.clock
        self._verification = verification
        self._saved = saved
        self._round = saved.round or Round(stores.clock())
        self._spent = 0

    async def hold(self) -> bool:
        """Hold the row from the start on; False where another has gone on meanwhile."""
        self._held = HELD
        return await self._save("blobs", "", "") is not None

    async def begin_anew(self) -> None:
        """Keep that a round is to begin: what this one has counted is given up."""
        held = timedelta()
        fresh = replace(self._saved, walk="", position="", done="", held=held, round=None)
        await self._scrubs.save(fresh)

    async def go_on(self, progress: Callable[[Round], object] = lambda _: None) -> Round | None:
        """Look at pages until time or budget is used up, or the round is over."""
        if self._saved.round is None:
            await self._forget()
        walk, position, done = self._saved.walk or "blobs", self._saved.position, self._saved.done
        while walk:
            rows, following = await self._page(walk, position)
            for key, where, row in rows:
                if key <= done:
                    continue
                is_over = self._is_over()
                if is_over or self._is_to_tell():
                    kept = await self._save(walk, position, done)
                    if is_over or kept is None:
                        return kept
                await self._look(where, row)
                done = key
                progress(self._round)
            walk, position, done = _next(walk, following, done)
            kept = await self._save(walk, position, done) if walk else self._round
            if kept is None or (walk and self._is_over()):
                return kept
        return await self._end()

    def _is_over(self) -> bool:
        """Tell whether time or budget is used up; a whole round has no end of these."""
        is_late = self._span is not None and self._span.is_over
        return is_late or (self._budget is not None and self._spent >= self._budget)

    def _is_to_tell(self) -> bool:
        """Tell whether it is time to say again that the row is held."""
        return bool(self._held) and self._beat.is_over

    async def _page(
        self, walk: str, position: str
    ) -> tuple[list[tuple[str, Digest | RepositoryName, Row]], str]:
        """Read a page; of each row that is to be looked at also its place in the walk."""
        walks = self._stores.walks
        found: list[tuple[str, Digest | RepositoryName, Row]]
        if walk == "blobs":
            blobs = await walks.blobs(position, _PAGE)
            found = [
                (str(digest), digest, row) for digest, row in blobs.rows if row.key == keys.CONTENT
            ]
            return found, blobs.position
        contents = await walks.contents(position, _PAGE)
        found = [
            (f"{keys.encode_repository(where)} {row.key}", where, row)
            for where, row in contents.rows
            if keys.kind_of(row.key) == "manifest"
        ]
        return found, contents.position

    async def _look(self, where: Digest | RepositoryName, row: Row) -> None:
        try:
            if isinstance(where, Digest):
                await self._look_at_blob(where, row)
            else:
                await self._look_at_manifest(where, row)
        except Exception:  # noqa: BLE001 - one row would hold up all the others for ever
            _log.exception("%s of %s is not verified", row.key, where)
            self._round.failed += 1

    async def _look_at_blob(self, digest: Digest, row: Row) -> None:
        content = content_of(row)
        if row.values["state"] != GOOD or self._is_recent(row):
            self._round.skipped += 1
        elif content.size > LARGE_BYTES:
            await self._stores.verifying.ask(content.object, digest=digest)
            self._round.handed += 1
            self._spent += content.size
        else:
            drawn = keys.drawn(content.object)
            asked = ToVerify(self._stores.generation, drawn, digest=digest)
            self._count(await self._verification.go_on(asked), content.size)

    def _is_recent(self, row: Row) -> bool:
        """Tell whether a blob was verified lately, or is about to be."""
        verified = row.values.get("verified")
        if not verified:
            return row.age < SETTLED
        return timedelta() <= self._clock() - cast("datetime", verified) < self._lately

    async def _look_at_manifest(self, repository: RepositoryName, row: Row) -> None:
        if row.age < SETTLED:
            self._round.skipped += 1
            return
        digest = Digest.parse(keys.last_part(row.key))
        record = await self._stores.contents.manifest(repository, digest, with_body=True)
        if record:
            verified = await self._verification.verify_manifest(repository, record)
            self._count(verified, record.size)

    def _count(self, verified: Verified, size: int) -> None:
        counts = self._round
        counts.objects += 1
        counts.bytes += size
        self._spent += size
        counts.missing += verified.fault == MISSING
        counts.bad += bool(verified.fault) and verified.fault != MISSING

    async def _end(self) -> Round | None:
        """Keep what the round came upon; the next one begins a day after it did."""
        now = self._clock()
        self._round.ended = now
        _log.info("a round of the scrub is over: %s", self._round)
        rest = min(max(_DAY - (now - self._round.began), timedelta()), _DAY)
        return await self._save("", "", "", rest)

    async def _save(
        self, walk: str, position: str, done: str, rest: timedelta = timedelta()
    ) -> Round | None:
        """Keep where it is; None where another has gone on meanwhile."""
        is_ended = self._round.ended is not None
        saved = Saved(
            walk=walk,
            position=position,
            done=done,
            debt=self._saved.debt + (0 if self._budget is None else self._spent),
            rest=rest,
            held=timedelta() if is_ended else self._held,
            round=None if is_ended else self._round,
            last=self._round if is_ended else self._saved.last,
            etag=self._saved.etag,
        )
        etag = await self._scrubs.save(saved)
        self._beat = Span(self._stores.ticks, _BEAT)
        self._saved = replace(self._saved, etag=etag or "")
        return self._round if etag else None

    async def _forget(self) -> None:
        """Drop what was healed long ago, and what was found long ago that nobody needs."""
        async for page in _pages(self._scrubs):
            await self._scrubs.forget([one for one in page if await self._is_told(one)])
            if self._is_over():
                break

    async def _is_told(self, damage: Damage) -> bool:
        """Tell whether it was in the reports for long enough."""
        is_old = self._clock() - (damage.healed or damage.found) > KEPT
        return is_old and (damage.healed is not None or not await _is_used(self._stores, damage))


async def _pages(scrubs: Scrubs) -> AsyncIterator[Sequence[Damage]]:
    """Read what was found, page by page."""
    after = ""
    while page := await scrubs.damages(after, _PAGE):
        yield page
        after = page[-1].object


async def _is_used(stores: Stores, damage: Damage) -> bool:
    """Tell whether anybody waits for it to be healed.

    Of a blob that was given up by all, and uploaded again since, nothing tells of the bad bytes.
    """
    if damage.kind == "blob":
        is_held = await stores.holdings.content(damage.digest) is not None
        return is_held and await stores.holdings.names(damage.digest, damage.object)
    where, life = RepositoryName(damage.repository), keys.drawn(damage.object)
    return await stores.contents.has_life(where, damage.digest, life)


def _next(walk: str, position: str, done: str) -> tuple[str, str, str]:
    """Give where it goes on after a page: on the same walk, on the next one, or nowhere."""
    if position:
        return walk, position, done
    return ("contents", "", "") if walk == "blobs" else ("", "", "")
