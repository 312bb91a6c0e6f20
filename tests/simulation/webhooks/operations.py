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
            place = await self._next(process)
            if place is None:
                return
            await process.hear(process.world.messages.sent[place])
            process.world.messages.heard.add(place)  # who dies before leaves it to another

    async def _next(self, process: HookProcess) -> int | None:
        world = process.world

        async def find() -> int | None:
            place = world.next_message(*self.queues)
            if place is not None and not self.shared:
                world.taken |= {place}
            world.is_disturbed = world.is_disturbed or self.shared
            return place

        return await (process.gate.go("listen", find) if process.gate else find())

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
        world = process.world
        world.was_disabled = True
        await process.registering.update(NAME, Wish(is_enabled=False))
        world.receivers.closed |= {self.path}


@dataclass(frozen=True)
class Enable(HookOperation):
    """Enable it again."""

    path: str = "one"

    async def act(self, process: HookProcess) -> None:
        """Enable it."""
        process.world.receivers.closed -= {self.path}
        await process.registering.update(NAME, Wish(is_enabled=True))


@dataclass(frozen=True)
class Remove(HookOperation):
    """Delete it: nothing begins from then on."""

    path: str = "one"

    async def act(self, process: HookProcess) -> None:
        """Delete it."""
        there = process.world.webhook(NAME)
        if there and self.path == "one" and there.id == process.world.first:
            with suppress(NoWebhook):  # done, and nobody heard of it
                await process.registering.delete(NAME)
        process.world.receivers.closed |= {self.path}


@dataclass(frozen=True)
class Rotate(HookOperation):
    """Give it another secret: that one alone signs from then on."""

    secret: str
    path: str = "one"

    async def act(self, process: HookProcess) -> None:
        """Change it."""
        await process.registering.update(NAME, Wish(secret=self.secret, overlap=timedelta()))
        receivers = process.world.receivers
        receivers.secrets = {**receivers.secrets, self.path: self.secret}


@dataclass(frozen=True)
class Replay(HookOperation):
    """Send all that is not under way again."""

    async def act(self, process: HookProcess) -> None:
        """Send it."""
        world, day = process.world, timedelta(days=1)
        there = _webhook(world)
        world.replays += 1
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
        world = process.world
        there = _webhook(world)
        [last] = await process.replays.events(there, limit=1)
        world.replays += 1
        try:
            await process.replays.replay(there, last.name)
        except ReplayRefused:
            return


@dataclass(frozen=True)
class Ping(HookOperation):
    """Send a ping."""

    async def act(self, process: HookProcess) -> None:
        """Send it."""
        await process.replays.ping(_webhook(process.world))

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
