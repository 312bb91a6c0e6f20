"""A soak from its first request to its last check."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from shared.administration import administration
from shared.settings import Settings
from tests.soak import leftovers
from tests.soak.actors import Actor
from tests.soak.asking import Asker, BrokenPromise, Login
from tests.soak.model import State, places, pool
from tests.soak.operators import Operator
from tests.soak.pushing import Pusher
from tests.soak.telling import tell
from tests.soak.webhooks import Webhooks, webhooks
from tests.soak.worlds import GRACE_SECONDS, QUIET_SECONDS, World
from tests.support import witness

_MIDDLE = 500
"""Of how many operations some webhooks are not told at once."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much happens: in all so many operations, dealt out to the actors."""

    operations: int
    actors: int = 8
    repositories: int = 4
    contents: int = 300


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done, how often, and how long it took: to act, and to come to rest."""

    actors: Sequence[Actor]
    acting: float
    resting: float
    hooks: Webhooks

    @property
    def did(self) -> Counter[str]:
        """Count all deeds and answers."""
        return sum((actor.asker.did for actor in self.actors), Counter())

    def __str__(self) -> str:
        """Say it in some lines."""
        done = sum(len(actor.story) for actor in self.actors)
        speed = f"{done} operations in {self.acting:.0f} s, {done / self.acting:.1f} a second"
        did = dict(self.did.most_common())
        return f"{speed}; at rest after {self.resting:.0f} s\n{did}\n{self.hooks}"


async def soak(world: World, size: Size, seed: int) -> Outcome:
    """Let the actors act in a world, and see then that everything is as they were told."""
    began = time.monotonic()
    async with (
        _actors(world, size, seed) as actors,
        webhooks(world, lambda: told_to(actors)) as hooks,
    ):
        await _act(world, actors, size, seed, hooks)
        ended = time.monotonic()
        hooks.be_kind()
        await _each(actors, settle)
        there = await _tidy(world, hooks)
        await _check(world, actors)
        check_rows(actors, there)
        check_events(actors, world, hooks)
    outcome = Outcome(actors, ended - began, time.monotonic() - ended, hooks)
    print(f"\n{outcome}", flush=True)
    assert not outcome.did["500"], world.told()
    return outcome


async def acted(world: World, size: Size, seed: int) -> Sequence[Actor]:
    """Let the actors act, and no more."""
    async with (
        _actors(world, size, seed) as actors,
        webhooks(world, lambda: told_to(actors)) as hooks,
    ):
        await _act(world, actors, size, seed, hooks)
        return actors


async def _act(
    world: World, actors: Sequence[Actor], size: Size, seed: int, hooks: Webhooks
) -> None:
    """Let the actors act; for a while in the middle some webhooks are told nothing."""
    times = size.operations // size.actors
    middle = min(times // 10, _MIDDLE // size.actors)
    first = (times - middle) // 2
    async with world.troubled(seed):
        await _each(actors, lambda actor: actor.act(first))
        await hooks.silence_some()
        await _each(actors, lambda actor: actor.act(middle))
        await hooks.bring_back()
        await _each(actors, lambda actor: actor.act(times - middle - first))


async def _tidy(world: World, hooks: Webhooks) -> leftovers.Stored:
    """Wait until all is quiet, also when all was sent that webhooks had kept."""
    while True:
        there = await leftovers.tidy(world.emulator.connection_string, QUIET_SECONDS)
        if not await hooks.replay():
            return there


async def settle(actor: Actor) -> None:
    """Bring what is unknown to an end; what goes with its subject is left to go."""
    for known in actor.mine.manifests:
        is_to_stay = known.subject and known.subject.state is not State.GONE
        if known.state is State.DOOMED and is_to_stay:
            known.state = State.UNKNOWN
    for known in actor.mine.of(State.UNKNOWN):
        await actor.remove(known)
    for place in [*actor.mine.unknown_tags]:
        await actor.remove_tag(*place)


async def check(actor: Actor) -> None:
    """See that what is live is whole, what is gone is not there, and tags point where they did."""
    for known in actor.mine.manifests:
        if known.state is State.LIVE:
            await actor.check(known)
        else:
            await actor.check_gone(known)
    for place in actor.mine.certain_tags():
        await actor.check_tag(*place)


async def _check(world: World, actors: Sequence[Actor]) -> None:
    try:
        await _each(actors, check)
    except* BrokenPromise as broken:
        await tell(world, broken)
        raise


def check_rows(actors: Sequence[Actor], there: leftovers.Stored) -> None:
    """See that exactly what is to be live has a row that says so."""
    wanted = set(places([actor.mine for actor in actors], State.LIVE))
    if wanted != (found := there.live()):
        raise BrokenPromise(f"not there: {wanted - found}; there: {found - wanted}")


def check_events(actors: Sequence[Actor], world: World, hooks: Webhooks) -> None:
    """See that each consumer has heard of each change that was acknowledged, webhooks too."""
    heard = witness.heard(world.witness)
    if missing := told_to(actors) - heard:
        raise BrokenPromise(f"events that were not heard: {missing.most_common(10)}")
    tags = {place: it for actor in actors for place, it in actor.mine.certain_tags().items()}
    hooks.check(heard, tags)


def told_to(actors: Sequence[Actor]) -> Counter[tuple[str, str, str, str]]:
    """Count what was acknowledged by now."""
    return sum((actor.mine.told for actor in actors), Counter())


async def _each(actors: Sequence[Actor], do: Callable[[Actor], Awaitable[None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for actor in actors:
            group.create_task(_done(do, actor))


async def _done(do: Callable[[Actor], Awaitable[None]], actor: Actor) -> None:
    await do(actor)


@asynccontextmanager
async def _actors(world: World, size: Size, seed: int) -> AsyncIterator[Sequence[Actor]]:
    """Let them in, each at one of the hosts, and an operator beside them."""
    repositories = [f"soak/{number}" for number in range(size.repositories)]
    logins = [Login(registry, repositories) for registry in world.registries]
    await asyncio.gather(*(login.renew() for login in logins))
    settings, contents = Settings.from_env(world.settings), pool(size.contents)
    timeout = aiohttp.ClientTimeout(60)
    async with (
        aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session,
        administration(settings, settings.registry_name) as here,
    ):
        session._retry_connection = False  # what is asked again is asked by us
        assert here
        operator = Operator(here.jobs.restores, has_steady_clock=not world.weather.jump_seconds)

        def actor(number: int) -> Actor:
            login, habits = logins[number % len(logins)], random.Random(f"{seed} {number} habits")
            asker = Asker(f"actor{number}", session, login, habits)
            pusher = Pusher(asker, repositories, GRACE_SECONDS)
            draws = random.Random(f"{seed} {number}")
            return Actor(asker, pusher, operator, repositories, contents, draws, kept)

        kept = 0.0 if world.weather.jump_seconds else GRACE_SECONDS - 1
        yield [actor(number) for number in range(size.actors)]
