"""A soak from its first request to its last check."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from tests.soak.actors import Actor
from tests.soak.model import State, pool
from tests.support.flows import authorization
from tests.support.hosts import Registry


@dataclass(frozen=True, slots=True)
class Size:
    """How much happens: in all so many operations, dealt out to the actors."""

    operations: int
    actors: int = 8
    repositories: int = 4
    contents: int = 60


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done, how often, and in how many seconds."""

    actors: Sequence[Actor]
    seconds: float

    @property
    def did(self) -> Counter[str]:
        """Count all deeds and answers."""
        return sum((actor.did for actor in self.actors), Counter())


async def soak(registry: Registry, size: Size, seed: int) -> Outcome:
    """Let the actors act, and see then that everything is as they were told."""
    began = time.monotonic()
    async with _actors(registry, size, seed) as actors:
        async with asyncio.TaskGroup() as group:
            for actor in actors:
                group.create_task(actor.act(size.operations // size.actors))
        for actor in actors:
            await settle(actor)
        await check(actors)
    return Outcome(actors, time.monotonic() - began)


async def settle(actor: Actor) -> None:
    """Bring what is unknown to an end: what was asked for last is asked for again."""
    unknown = [known for known in actor.mine.manifests if known.state is State.UNKNOWN]
    for known in unknown:
        await actor.remove(known)
    for place in [*actor.mine.unknown_tags]:
        await actor.remove_tag(*place)


async def check(actors: Sequence[Actor]) -> None:
    """See that what is live is whole, what is gone is not there, and tags point where they did."""
    for actor in actors:
        for known in actor.mine.manifests:
            if known.state is State.LIVE:
                await actor.check(known)
            elif known.state is State.GONE:
                await actor.check_gone(known)
        for place in actor.mine.tags:
            if place not in actor.mine.unknown_tags:
                await actor.check_tag(*place)


@asynccontextmanager
async def _actors(registry: Registry, size: Size, seed: int) -> AsyncIterator[Sequence[Actor]]:
    repositories = [f"soak/{number}" for number in range(size.repositories)]
    scope = " ".join(f"repository:{name}:pull,push,delete" for name in repositories)
    header = {"Authorization": authorization(registry, scope)}
    limits = httpx.Limits(max_connections=size.actors)
    async with httpx.AsyncClient(
        base_url=registry.url, headers=header, timeout=60, limits=limits, follow_redirects=True
    ) as client:
        contents = pool(size.contents)
        yield [
            Actor(
                f"actor{number}", client, repositories, contents, random.Random(f"{seed} {number}")
            )
            for number in range(size.actors)
        ]
