"""What is done with webhooks: messages are heard, and operators change, ping and replay."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, cast

from shared.model.webhooks.webhook import Action, Webhook, WebhookInvalid
from shared.services.webhooks.configuration.registering import NoWebhook, Wish
from shared.services.webhooks.replaying import ReplayRefused
from shared.storage import keys
from tests.simulation.operations import Operation
from tests.simulation.upkeep.operations import hear
from tests.simulation.webhooks.world import HookProcess, HookWorld
from tests.simulation.world import Process

NAME = "hook1"


@dataclass(frozen=True)
class HookOperation(Operation):
    """Something done by a process that sees to webhooks."""

    async def run(self, process: Process) -> None:
        """Do it."""
        await self.act(cast("HookProcess", process))

    async def act(self, process: HookProcess) -> None:
        """Do it."""
        raise NotImplementedError


@dataclass(frozen=True)
class Work(HookOperation):
    """Hear so many messages, each when it is to be seen: until then time passes.

    A message is in the hands of one alone, unless it is `shared`: then it comes to two at once.
    """

    times: int = 1
    shared: bool = False
    queues: ClassVar[Sequence[str]] = (keys.DELIVERIES,)

    async def act(self, process: HookProcess) -> None:
        """Hear them."""
        for _ in range(self.times):
            place = await process.turn("listen", self._next)
            if place is None:
                return
            await hear(process, place)

    async def _next(self, world: HookWorld) -> int | None:
        place = world.next_message(*self.queues)
        if place is not None and not self.shared:
            world.taken |= {place}
        world.is_disturbed = world.is_disturbed or self.shared
        return place

    def again(self) -> None:
        """Leave it to others."""


@dataclass(frozen=True)
class Announce(Work):
    """The same, of messages to the fan-out."""

    queues: ClassVar[Sequence[str]] = (keys.EVENTS,)


@dataclass(frozen=True)
class Create(HookOperation):
    """Make a webhook that posts to a path."""

    path: str = "one"
    secret: str = ""

    async def act(self, process: HookProcess) -> None:
        """Make it."""
        uri, actions = f"https://receiver.test/{self.path}", frozenset({Action.PUSH, Action.DELETE})
        wish = Wish(uri=uri, actions=actions, secret=self.secret or None)
        with suppress(WebhookInvalid):  # done, and nobody heard of it
            await process.registering.create(NAME, wish)


@dataclass(frozen=True)
class Disable(HookOperation):
    """Disable the webhook: nothing begins from then on."""

    path: str = "one"

    async def act(self, process: HookProcess) -> None:
        """Disable it."""
        await process.changes(self._begin)
        await process.registering.update(NAME, Wish(is_enabled=False))
        await process.changes(lambda world: world.receivers.close(self.path))

    def _begin(self, world: HookWorld) -> None:
        world.was_disabled = True


@dataclass(frozen=True)
class Enable(HookOperation):
    """Enable it again."""

    path: str = "one"

    async def act(self, process: HookProcess) -> None:
        """Enable it."""
        await process.changes(lambda world: world.receivers.open(self.path))
        await process.registering.update(NAME, Wish(is_enabled=True))


@dataclass(frozen=True)
class Remove(HookOperation):
    """Delete it: nothing begins from then on."""

    path: str = "one"

    async def act(self, process: HookProcess) -> None:
        """Delete it."""
        if self.path == "one" and await process.sees(self._is_first):
            with suppress(NoWebhook):  # done, and nobody heard of it
                await process.registering.delete(NAME)
        await process.changes(lambda world: world.receivers.close(self.path))

    def _is_first(self, world: HookWorld) -> bool:
        there = world.webhook(NAME)
        return there is not None and there.id == world.first


@dataclass(frozen=True)
class Rotate(HookOperation):
    """Give it another secret: that one alone signs from then on."""

    secret: str
    path: str = "one"

    async def act(self, process: HookProcess) -> None:
        """Change it."""
        await process.registering.update(NAME, Wish(secret=self.secret, overlap=timedelta()))
        await process.changes(lambda world: world.receivers.heed(self.path, self.secret))


@dataclass(frozen=True)
class Replay(HookOperation):
    """Send all that is not under way again."""

    async def act(self, process: HookProcess) -> None:
        """Send it."""
        there, day = await process.sees(_webhook), timedelta(days=1)
        await process.changes(HookWorld.count_replay)
        now = process.stores.clock()
        try:
            await process.replays.replay_between(there, now - day, now + day)
        except ReplayRefused:
            return


@dataclass(frozen=True)
class ReplayLast(HookOperation):
    """Send the newest delivery again."""

    async def act(self, process: HookProcess) -> None:
        """Send it."""
        there = await process.sees(_webhook)
        [last] = await process.replays.events(there, limit=1)
        await process.changes(HookWorld.count_replay)
        try:
            await process.replays.replay(there, last.name)
        except ReplayRefused:
            return


@dataclass(frozen=True)
class Ping(HookOperation):
    """Send a ping."""

    async def act(self, process: HookProcess) -> None:
        """Send it."""
        await process.replays.ping(await process.sees(_webhook))

    def again(self) -> None:
        """Send no other."""


@dataclass(frozen=True)
class Tend(HookOperation):
    """Do what the timer does."""

    async def act(self, process: HookProcess) -> None:
        """Do it."""
        await process.tending.tend(lambda: False)


def _webhook(world: HookWorld) -> Webhook:
    there = world.webhook(NAME)
    assert there
    return there
