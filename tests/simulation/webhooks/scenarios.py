"""Scenarios of webhooks: who delivers meets operators, others who deliver, and itself."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import pytest

from shared.services.webhooks import holding
from shared.storage import keys
from tests.simulation.ending import Ending
from tests.simulation.explorer import Scenario
from tests.simulation.loop import Loop
from tests.simulation.operations import Operation, Push, Untag
from tests.simulation.scenarios import ONE, TWO, V1, A, Past, X, Y
from tests.simulation.states import State
from tests.simulation.webhooks.operations import (
    Announce,
    Create,
    Disable,
    Enable,
    Ping,
    Remove,
    Replay,
    ReplayLast,
    Rotate,
    Tend,
    Work,
)
from tests.simulation.webhooks.promises import broken, broken_at_last
from tests.simulation.webhooks.world import SILENCE, HookWorld

_FOLLOWER = 0x301
_MESSAGES = 200
OLD, NEW = "the old secret", "the new secret"


class HookEnding(Ending):
    """An end at which messages are heard in the end, and nothing else.

    The timer sees to what is left where an operator's command has died that replays, and to what
    waits for a webhook that is disabled.
    """

    def _faults(self) -> Iterator[str]:
        yield from broken(self._hooks)
        yield from self._unkept()

    @property
    def _hooks(self) -> HookWorld:
        assert isinstance(self.world, HookWorld)
        return self.world

    def _clear(self) -> None:
        if self._is_known("at last"):
            return
        self._hooks.taken = frozenset()
        self._hear()
        is_replayed = any(isinstance(deed.operation, Replay) for deed in self.deeds)
        is_disabled = any(not webhook.is_enabled for webhook in self._hooks.webhooks())
        if is_disabled or (self.state.is_hurt and is_replayed):
            self.loop.complete(Tend(A).run(self.world.process(_FOLLOWER)))
            self._hear()
        for fault in broken_at_last(self._hooks, is_hurt=self.state.is_hurt):
            raise self._broken(fault)

    def _hear(self) -> None:
        """Hear all messages, each when it is to be seen, and those that they lead to."""
        self.trace.append("messages are heard")
        world, process = self._hooks, self.world.process(_FOLLOWER)
        for _ in range(_MESSAGES):
            place = world.next_message(keys.EVENTS, keys.DELIVERIES)
            if place is None:
                return
            self.loop.complete(process.hear(world.messages.sent[place]))
            world.messages.heard.add(place)
        raise self._broken("messages lead to messages without end")


class HookScenario(Scenario):
    """A scenario of webhooks."""

    def ending(self, state: State, loop: Loop, known: set[int] | None = None) -> Ending:
        """Give what checks a state, and what comes of it in the end, if it is not `known`."""
        return HookEnding(state, loop, known, is_sparse=self.is_sparse)


class HookPast(Past):
    """What happened before: a webhook was made whose receiver answers so."""

    world: HookWorld

    def __init__(self, *answers: int, secret: str = "") -> None:
        self.world = HookWorld()
        self.world.receivers.answers = {"one": answers, "two": [200]}
        self._process = self.world.process(0xAAAA)
        self.held(A, X, Y).did(Create(A, secret=secret))
        [webhook] = self.world.webhooks()
        self.world.first = webhook.id

    def meets(self, *processes: Sequence[Operation], is_sparse: bool = False) -> Scenario:
        """Let processes meet."""
        return HookScenario(self.world, processes, is_sparse=is_sparse)


def pushed(*answers: int, secret: str = "") -> HookPast:
    """Let a push be told of, and nothing be delivered yet."""
    past = HookPast(*answers, secret=secret).did(Push(A, ONE, V1), Announce(A))
    assert isinstance(past, HookPast)
    return past


@contextmanager
def impatient() -> Iterator[None]:
    """Hold a receiver after two failures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(holding, "FAILURES", 2)
        yield


WORK = [Work(A)]
AGAIN = [Push(A, TWO, V1), Announce(A)]

DELIVERIES: Mapping[str, Scenario] = {
    "a push, and the fan-out": HookPast(200).meets([Push(A, ONE, V1)], [Announce(A, 2), *WORK]),
    "the fan-out twice": HookPast(200)
    .did(Push(A, ONE, V1))
    .meets([Announce(A, shared=True)], [Announce(A, shared=True)]),
    "a tag goes, and comes by another clock": HookPast(200)
    .did(Push(A, ONE, V1))
    .meets([Untag(A, V1), Push(A, ONE, V1)], [Announce(A)]),
    "a delivery": pushed(200).meets(WORK, [Work(A)]),
    "a delivery twice": pushed(200).meets([Work(A, shared=True)], [Work(A, shared=True)]),
    "a delivery that fails twice": pushed(503, 503, 200).meets([Work(A, 3)], WORK),
    "a failing delivery twice": pushed(503, 200).meets(
        [Work(A, shared=True)], [Work(A, shared=True)]
    ),
    "a receiver that is silent": pushed(SILENCE, SILENCE, 200).meets([Work(A, 3)], WORK),
    "a delivery, and it is disabled": pushed(200).meets(WORK, [Disable(A)]),
    "a failing delivery, and it is disabled": pushed(503, 200).meets([Work(A, 2)], [Disable(A)]),
    "a delivery, and it is deleted": pushed(200).meets(WORK, [Remove(A)]),
    "a failing delivery, and it is made anew": pushed(503, 200).meets(
        [Work(A, 2)], [Remove(A), Create(A, "two")]
    ),
    "a delivery, and its secret is changed": pushed(200, secret=OLD).meets(WORK, [Rotate(A, NEW)]),
    "a failing delivery, and its secret is changed": pushed(503, 200, secret=OLD).meets(
        [Work(A, 2)], [Rotate(A, NEW)]
    ),
    "a delivery, and a replay": pushed(200).meets(WORK, [Replay(A), *WORK]),
    "a delivery, and a replay of it": pushed(503, 200).meets(WORK, [ReplayLast(A), *WORK]),
    "a ping, and a delivery": pushed(200).meets([Ping(A), *WORK], WORK),
    "a receiver that is gone": pushed(410, 200).meets(WORK, AGAIN),
}
"""Two meet over a delivery or two."""

with impatient():
    FAILING = pushed(503, 503, 200).did(Work(A))
    HELD = pushed(503, 503, 200).did(Work(A, 2))
    HELD_TWICE = pushed(503, 503, 200).did(Work(A, 2))
    HELD_TWICE.world.is_disturbed = True  # a probe may send what has a message of its own
    STILL_HELD = pushed(503, 503, 503, 200).did(Work(A, 2))
    PARKED = pushed(503, 503, 200).did(*AGAIN, Work(A, 4))
    OPEN = pushed(503, 503, 200).did(*AGAIN, Work(A, 5))
DISABLED = pushed(200).did(Disable(A), Work(A))

HELD_ONES: Mapping[str, Scenario] = {
    "it is held, and a push is told of": FAILING.meets(WORK, AGAIN),
    "it is held, and another fails": pushed(503, 503, 200).did(*AGAIN).meets(WORK, [Work(A)]),
    "a probe, and the delivery": HELD_TWICE.meets(WORK, [Work(A)]),
    "a probe, and a push is told of": HELD.meets([Work(A, 2)], AGAIN),
    "a probe twice": PARKED.meets([Work(A, shared=True)], [Work(A, shared=True)]),
    "a probe that fails twice": STILL_HELD.meets([Work(A, shared=True)], [Work(A, shared=True)]),
    "a probe, and it is disabled": HELD.meets(WORK, [Disable(A)]),
    "a probe, and it is enabled anew": STILL_HELD.meets(WORK, [Enable(A), *WORK]),
    "a probe, and it is deleted": HELD.meets(WORK, [Remove(A)]),
    "a probe, and a ping": HELD.meets(WORK, [Ping(A), *WORK]),
    "a probe, and a replay": PARKED.meets(WORK, [Replay(A), *WORK]),
    "a drain twice": OPEN.meets([Work(A, shared=True)], [Work(A, shared=True)]),
    "a drain, and a push is told of": OPEN.meets([Work(A, 2)], AGAIN),
    "a drain, and it is disabled": OPEN.meets([Work(A, 2)], [Disable(A)]),
    "it is enabled, and what was kept is replayed": DISABLED.meets(
        [Enable(A), Replay(A)], [*AGAIN, *WORK]
    ),
    "it is disabled, and a push is told of": pushed(200).meets([Disable(A)], AGAIN),
}
"""Two meet over a receiver that is held after two failures, or a webhook that is disabled."""

ALL = {**DELIVERIES, **HELD_ONES}


def patience(name: str) -> AbstractContextManager[None]:
    """Give for how long the receiver of a scenario is borne with."""
    return impatient() if name in HELD_ONES else nullcontext()
