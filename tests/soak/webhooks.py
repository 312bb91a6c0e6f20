"""The webhooks of a soak: who hears of what happens, and whether they heard it.

    everything   all of it, in ACR's form
    clouds       CloudEvents
    moody        its receiver misbehaves
    paused       disabled for a while, then enabled, and what it kept is replayed
    former       told until its webhook is deleted, and made again under the same name:
    latter       told of what happens from then on

All but the first hear of one repository each.
"""

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from shared.administration import administration
from shared.model.webhooks.webhook import Action, Form
from shared.services.webhooks.configuration.registering import Registering, Wish
from shared.services.webhooks.replaying import Replays
from shared.settings import Settings
from shared.storage import ages
from shared.storage.rows.webhooks.deliveries import State
from tests.soak.asking import BrokenPromise
from tests.soak.listeners import PATIENCE_SECONDS, Listener, Told, listening
from tests.soak.model import Known, Place
from tests.soak.weather import LONGEST_DELAY
from tests.soak.worlds import World

_SCOPES = {"clouds": "soak/0", "moody": "soak/1", "paused": "soak/2"}
_OF_REMADE = "soak/3"

_REMADE = "remade"
_UNDER_WAY_SECONDS = 2
_ALL = frozenset({Action.PUSH, Action.DELETE})
_FIRST = datetime(2000, 1, 1, tzinfo=UTC)

type Changes = Counter[tuple[str, str, str, str]]


@dataclass
class Webhooks:
    """The webhooks of one soak; `told` counts what was acknowledged by now."""

    registering: Registering
    replays: Replays
    told: Callable[[], Changes]
    under_way: float
    everything: Listener = field(default_factory=lambda: Listener("everything"))
    clouds: Listener = field(default_factory=lambda: Listener("clouds"))
    moody: Listener = field(default_factory=lambda: Listener("moody", is_moody=True))
    paused: Listener = field(default_factory=lambda: Listener("paused"))
    former: Listener = field(default_factory=lambda: Listener("former"))
    latter: Listener = field(default_factory=lambda: Listener("latter"))
    silence: tuple[float, float] = (0.0, 0.0)
    made_again: datetime = _FIRST
    told_before: Changes = field(default_factory=Counter)

    @property
    def listeners(self) -> list[Listener]:
        """Give all receivers."""
        return [
            *(self.everything, self.clouds, self.moody, self.paused, self.former, self.latter),
        ]

    async def make(self) -> None:
        """Make them."""
        for listener in (self.everything, self.clouds, self.moody, self.paused):
            wish = _wish(listener, _SCOPES.get(listener.name, ""))
            await self.registering.create(listener.name, wish)
        await self.registering.create(_REMADE, _wish(self.former, _OF_REMADE))
        await self.registering.update(self.clouds.name, Wish(form=Form.CLOUDEVENTS))
        await self.registering.update(self.moody.name, Wish(seconds=PATIENCE_SECONDS))

    async def silence_some(self) -> None:
        """Disable one, and delete another."""
        await self.registering.update(self.paused.name, Wish(is_enabled=False))
        await self.registering.delete(_REMADE)
        self.silence = (time.time(), 0.0)

    async def bring_back(self) -> None:
        """Enable the one and replay what it kept, and make the other again."""
        self.silence = (self.silence[0], time.time())
        await self.registering.update(self.paused.name, Wish(is_enabled=True))
        made = await self.registering.create(_REMADE, _wish(self.latter, _OF_REMADE))
        self.made_again, self.told_before = made.created, self.told()
        await self.replay()

    async def replay(self) -> int:
        """Send what was kept while one was disabled."""
        webhook = await self.registering.show(self.paused.name)
        until = datetime.now(UTC) + timedelta(hours=1)
        return await self.replays.replay_between(webhook, _FIRST, until, {State.KEPT})

    def be_kind(self) -> None:
        """Have all receivers answer from now on."""
        self.moody.is_moody = False

    def check(self, heard: Changes, tags: dict[Place, Known | None]) -> None:
        """See that each receiver was told of what it was to hear of, and of nothing else."""
        faults = [
            *self._misheard(heard),
            *(fault for listener in self.listeners for fault in listener.faults),
            *_contradictions(self.listeners),
            *_disorder(self.everything, tags),
            *self._noise(),
        ]
        if faults:
            raise BrokenPromise(f"{len(faults)} faults of webhooks: {faults[:10]}")

    def _misheard(self, heard: Changes) -> Iterator[str]:
        """Compare with the consumers of events, who hear of the same, and with what was told."""
        for listener in (self.everything, self.clouds, self.moody, self.paused):
            wanted, found = _outside(heard, _SCOPES.get(listener.name)), listener.changes()
            yield from _said(f"{listener.name} was not told of", wanted - found)
            yield from _said(f"{listener.name} alone was told of", found - wanted)
        lately = _outside(self.told() - self.told_before, _OF_REMADE)
        yield from _said("latter was not told of", lately - self.latter.changes())

    def _noise(self) -> Iterator[str]:
        """Find what came to one that was disabled, deleted, or not yet made."""
        begin, end = self.silence[0] + self.under_way, self.silence[1]
        if late := [moment for moment in self.paused.moments if begin < moment < end]:
            yield f"{len(late)} requests came while paused was disabled"
        if late := [moment for moment in self.former.moments if begin < moment]:
            yield f"{len(late)} requests came after former was deleted"
        first = self.made_again - ages.L
        for event, told in self.latter.told.items():
            if datetime.fromisoformat(told.timestamp) < first:
                yield f"latter was told of {event}, which was before: {told}"

    def __str__(self) -> str:
        """Say how much each was told."""
        return "\n".join(map(str, self.listeners))


@asynccontextmanager
async def webhooks(world: World, told: Callable[[], Changes]) -> AsyncIterator[Webhooks]:
    """Make webhooks in a world, and let their receivers listen."""
    storage = world.emulator.connection_string
    settings = Settings.from_env({**world.settings, "AzureWebJobsStorage": storage})
    under_way = _UNDER_WAY_SECONDS + LONGEST_DELAY * world.weather.needs_relay
    async with administration(settings, settings.registry_name) as here:
        assert here
        all_of_them = Webhooks(here.webhooks, here.replays, told, under_way)
        with listening(all_of_them.listeners):
            await all_of_them.make()
            yield all_of_them


def _wish(listener: Listener, repository: str) -> Wish:
    scope = f"{repository}:*" if repository else ""
    return Wish(uri=listener.address, secret=listener.secret, actions=_ALL, scope=scope)


def _outside(changes: Changes, repository: str | None = None) -> Changes:
    """Leave out what is for those inside alone, and all that is of other repositories."""
    told = {it: n for it, n in changes.items() if it[0] != "KEEP_LIST"}
    return Counter({it: n for it, n in told.items() if repository in {None, it[1]}})


def _said(what: str, changes: Changes) -> Iterator[str]:
    if changes:
        yield f"{what} {changes.total()}: {changes.most_common(5)}"


def _contradictions(listeners: list[Listener]) -> Iterator[str]:
    """Find events of which one was told otherwise than another."""
    known: dict[str, Told] = {}
    for listener in listeners:
        for event, told in listener.told.items():
            if known.setdefault(event, told) != told:
                yield f"{listener.name} was told {told} of {event}, another {known[event]}"


def _disorder(listener: Listener, tags: dict[Place, Known | None]) -> Iterator[str]:
    """Find tags of which two events have one time, or that point to another than the last says."""
    last: dict[Place, Told] = {}
    times: set[tuple[Place, str]] = set()
    for told in listener.told.values():
        place = (told.repository, told.tag)
        if not told.tag or told.action != "push":
            continue
        if (place, told.timestamp) in times:
            yield f"two events of {place} are of {told.timestamp}"
        times.add((place, told.timestamp))
        last[place] = max(last.get(place, told), told, key=lambda one: one.timestamp)
    for place, known in tags.items():
        if known and (place not in last or last[place].digest != known.digest):
            yield f"{place} points to {known.digest}, and the last told is {last.get(place)}"
