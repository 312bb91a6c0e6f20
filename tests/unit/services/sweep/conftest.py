"""A sweep over memory, and what follows from it."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from shared.services.events.fan_out import Announcement, FanOut
from shared.services.garbage.collection import Collection
from shared.services.garbage.garbage import Garbage
from shared.services.sweep.findings import Finding, Told, What
from shared.services.sweep.sweep import Sweep
from shared.services.upkeep.errands import Upkeep
from shared.services.verification.healing import Healing, Task
from shared.storage import keys
from shared.storage.ages import L
from shared.storage.messages.collecting import Suspects
from shared.storage.messages.errands import Errand
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.clock import Clock
from tests.support.messages import awake
from tests.unit.services.conftest import GRACE, KEPT, LIFETIME

OLD = 10 * L
"""For so long nobody has been at what died."""

type Mend = Callable[[], Awaitable[list[What]]]
type Settle = Callable[[], Awaitable[None]]


@pytest.fixture
def sweep(stores: Stores, clock: Clock) -> Sweep:
    healing = Healing(stores)

    async def heal(task: Task | None) -> None:
        while task:
            clock.now += task.wait + timedelta(seconds=1)
            task = await healing.do(task)

    told = Told(Garbage(stores, GRACE).collect, heal)
    return Sweep(stores, told, grace=GRACE, kept=KEPT, lifetime=LIFETIME)


async def whole_round(sweep: Sweep, *, is_dry: bool = False) -> list[Finding]:
    """Sweep from the beginning to the end."""
    swept = await sweep.sweep(is_dry=is_dry)
    found = [*swept.findings]
    while swept.position:
        swept = await sweep.sweep(swept.position, is_dry=is_dry)
        found += swept.findings
    return found


@pytest.fixture
def settle(memory: Memory, stores: Stores, upkeep: Upkeep, clock: Clock) -> Settle:
    """Read all messages that are seen soon, and those that they lead to, each in time."""
    fan_out = FanOut(stores)
    collection = Collection(stores, Garbage(stores, GRACE))

    async def settle() -> None:
        sent = memory.messages.sent
        while soon := [message for message in sent if message[2] <= OLD.total_seconds()]:
            sent.remove(soon[0])
            queue, body, delay = awake(soon[0])
            clock.now += timedelta(seconds=delay)
            if queue == keys.EVENTS:
                await fan_out.follow(Announcement.read(body.encode()))
            elif queue == keys.GARBAGE:
                await collection.run(Suspects.read(body.encode()))
            else:
                await upkeep.run(Errand.read(body.encode()))

    return settle


@pytest.fixture
def mend(memory: Memory, sweep: Sweep, settle: Settle, clock: Clock) -> Mend:
    """Lose all messages, wait, sweep a round, let all follow from it, and find nothing any more."""

    async def mend() -> list[What]:
        memory.messages.sent.clear()
        clock.now += OLD
        kept = memory.kept()
        would = await whole_round(sweep, is_dry=True)
        assert memory.kept() == kept
        assert memory.messages.sent == []

        found = await whole_round(sweep)
        assert found == would
        await settle()
        clock.now += OLD
        assert await whole_round(sweep, is_dry=True) == []
        return [finding.what for finding in found]

    return mend


async def once_old(sweep: Sweep, clock: Clock) -> list[What]:
    """Find nothing while it may be under way, and what there is a second later."""
    clock.now += 2 * L
    assert await whole_round(sweep, is_dry=True) == []
    clock.move(seconds=1)
    return [finding.what for finding in await whole_round(sweep, is_dry=True)]
