"""The aftermath: what the registry does by itself, once the clients are done."""

from datetime import timedelta

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.storage import keys
from shared.storage.ages import L
from tests.simulation.blobs.operations import Heal
from tests.simulation.loop import Loop
from tests.simulation.world import World

_COLLECTOR = 0x200
_FOLLOWER = 0x300
_HEALER = 0x400
_MESSAGES = 300


def collect(world: World, loop: Loop) -> None:
    """Take the collector's step for all there is."""
    process = world.process(_COLLECTOR)
    if world.rotten:
        _heal(world, loop)
    for repository, digest in _collectable(world):
        loop.complete(process.garbage.collect(repository, digest))
    for name in world.objects_now().keys() - world.strange.keys():
        loop.complete(process.leftovers.look_at(name))


def _heal(world: World, loop: Loop) -> None:
    """Verify all objects, and heal what is bad."""
    process = world.process(_HEALER)
    for name in world.objects_now().keys() - world.strange.keys():
        loop.complete(process.verification.verify(name))
    for _ in range(2):
        for digest, _ in [*world.digests()]:
            loop.complete(Heal(RepositoryName(""), digest).run(process))
        world.clock.now += 3 * L


def _collectable(world: World) -> list[tuple[RepositoryName, Digest]]:
    links = [
        (repository, Digest.parse(keys.last_part(key)))
        for repository, rows in world.repositories()
        for key in rows
        if key.startswith("blob|")
    ]
    held = [
        (keys.decode_repository(keys.last_part(key)), digest)
        for digest, rows in world.digests()
        for key in rows
        if key.startswith(("repo|", "gone|"))
    ]
    return list(dict.fromkeys([*links, *held]))


def hand_on(world: World, loop: Loop) -> None:
    """Read every message, in time, and those that this leads to; an end of it is part of it.

    Messages to the collector are left out: it takes its step for all there is (`collect`).
    """
    process = world.process(_FOLLOWER)
    sent = world.messages.sent
    while world.read < len(sent):
        place = world.read
        world.read += 1
        assert world.read < _MESSAGES, "messages lead to messages without end"
        if place in world.messages.heard:
            continue
        if (delay := sent[place].delay) > 1:
            world.clock.now += timedelta(seconds=delay)
        loop.complete(process.hear(sent[place]))
