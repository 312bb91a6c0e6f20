"""A world: the stores of a registry in memory, a clock, and the processes that work on them."""

from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from copy import copy
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from itertools import count
from typing import Any, Self

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.model.progress import ProgressSeal
from shared.model.upload import Seal
from shared.services.content.blobs import Blobs
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.content.staging import Staging
from shared.services.content.uploads import Uploads
from shared.services.deletions.repositories import RepositoryDeletions
from shared.services.deletions.restores import Restores
from shared.services.events.fallback_lists import FallbackLists
from shared.services.events.fan_out import Announcement, FanOut
from shared.services.garbage.collection import Collection
from shared.services.garbage.garbage import Garbage
from shared.services.garbage.leftovers import Leftovers
from shared.services.letters.retries import Retries
from shared.services.turns.turns import Turns
from shared.services.upkeep.errands import Upkeep
from shared.services.upkeep.purge import Purge
from shared.services.upkeep.retirement import Retirement
from shared.services.verification.healing import Healing
from shared.services.verification.verification import Verification
from shared.storage import keys
from shared.storage.bodies import Bodies
from shared.storage.layers.later import LateMessages
from shared.storage.memory.messages import Sent
from shared.storage.memory.objects import MemoryObjects, _Container, _Object
from shared.storage.memory.rows import MemoryRows
from shared.storage.messages.collecting import Suspects
from shared.storage.messages.errands import Errand
from shared.storage.messages.verifying import ToVerify
from shared.storage.ports import Messages, Objects, Row, Rows, Update
from shared.storage.rows.failing import Failures
from shared.storage.rows.registries import USUAL
from shared.storage.stores import Stores
from tests.simulation.gates import Gate, GatedMessages, GatedObjects, GatedRows
from tests.simulation.kept import NumberedRows, TimedMessages
from tests.simulation.loop import at_once
from tests.support.clock import Clock
from tests.support.messages import letter_of
from tests.support.pauses import no_pause

GENERATION = "g" * 32
GRACE = timedelta(hours=10)
SEAL = ProgressSeal(b"k" * 32)
START = datetime(2026, 1, 1, tzinfo=UTC)


class World:
    """All there is. `now` moves only when told to. `read` counts the messages that were read.

    `rotten` are objects whose bytes have changed, `strange` those of another generation with their
    bytes, `promised` the objects that the clients of uploads and mounts were given, and `frozen`
    what repositories held when they were locked. `policies` are the registry's. `closed` are the
    repositories that nobody may read, whatever becomes of them. `reports` tell of what failed, and
    decide nothing.
    """

    def __init__(self) -> None:
        self.clock = Clock(START)
        self.rows = NumberedRows(self.clock)
        self.objects = MemoryObjects(self.clock)
        self.messages = TimedMessages(self.clock)
        self.beside, self.reports = _nothing_beside(self.clock)
        self.read = 0
        self.rotten: frozenset[str] = frozenset()
        self.spoiled: frozenset[Digest] = frozenset()
        self.strange: Mapping[str, bytes] = {}
        self.promised: dict[tuple[RepositoryName, Digest], str] = {}
        self.frozen: dict[str, str] = {}
        self.policies = USUAL
        self.closed: frozenset[RepositoryName] = frozenset()
        at_once(self.rows.prepare(keys.TABLES))
        at_once(self.objects.prepare())
        at_once(self.messages.prepare(keys.QUEUES))

    def copy(self) -> Self:
        """Give another world that looks the same."""
        other, clock = copy(self), Clock(self.clock.now)
        other.clock, other.rows = clock, self.rows.copy(clock)
        kept = self.kept
        staged = {name: dict(blocks) for name, blocks in kept.staged.items()}
        other.objects = MemoryObjects(clock)
        other.objects._container = _Container(dict(kept.objects), staged, Counter(kept.made))
        other.messages = self.messages.copy(clock)
        other.beside, other.reports = _nothing_beside(clock)
        other.promised, other.frozen = dict(self.promised), dict(self.frozen)
        return other

    @property
    def kept(self) -> _Container:
        """The objects and the staged blocks."""
        assert self.objects._container
        return self.objects._container

    def signature(self) -> object:
        """Tell two worlds apart."""
        kept = self.kept
        staged = tuple((name, *blocks) for name, blocks in sorted(kept.staged.items()))
        return (
            tuple(sorted(self.rows.marks.items())),
            tuple(sorted((name, it.etag, it.made) for name, it in kept.objects.items())),
            staged,
            self.clock.now,
            hash(frozenset(self._unread())),
            hash(tuple(map(repr, self.rows.commits or ()))),
            tuple(sorted(self.promised.items())),
            tuple(sorted(self.frozen.items())),
        )

    def whole(self) -> object:
        """Tell two worlds apart, even where none who is in them could do so yet."""
        kept, rows = self.kept, self.rows
        objects = ((name, it.data, *it.metadata.items()) for name, it in kept.objects.items())
        return (
            self.signature(),
            frozenset(objects),
            frozenset(kept.made.items()),
            frozenset((key, repr(said)) for key, said in rows.told.items()),
            (*rows.lost, *rows.ended),
        )

    def _unread(self) -> Iterator[tuple[object, ...]]:
        messages = self.messages
        for place, message in enumerate(messages.sent):
            if place >= self.read and place not in messages.heard:
                said = asked(message.queue, message.body)
                yield (*said, message.delay, messages.moments[place] if messages.heard else None)

    def process(
        self, number: int, gate: Gate | None = None, generation: str = GENERATION
    ) -> "Process":
        """Start a process, behind a gate or not."""
        start = self.started
        if gate is None:
            return start(self, number, self.rows, self.objects, self.messages, generation)
        rows, objects, messages = GatedRows(gate), GatedObjects(gate), GatedMessages(gate)
        process = start(self, number, rows, objects, messages)
        process.gate = gate
        return process

    def time_of(self, number: int) -> Callable[[], datetime]:
        """Give the clock of a process: no two have the very same time."""
        return lambda: self.clock.now + timedelta(microseconds=number)

    @property
    def started(self) -> type["Process"]:
        """Give what processes are here."""
        return Process

    def objects_now(self) -> Mapping[str, _Object]:
        """Give the objects by name."""
        return self.kept.objects

    def repositories(self) -> Iterator[tuple[RepositoryName, Mapping[str, Row]]]:
        """Give each repository's rows."""
        for partition, rows in self._own(keys.CONTENTS):
            yield keys.decode_repository(partition.partition("|")[2]), rows

    def digests(self) -> Iterator[tuple[Digest, Mapping[str, Row]]]:
        """Give the rows of each blob's digest."""
        for partition, rows in self._own(keys.BLOBS):
            yield Digest.parse(partition.partition("|")[2]), rows

    def _own(self, table: str) -> Iterator[tuple[str, Mapping[str, Row]]]:
        for partition, rows in self.rows._tables[table].items():
            if partition.startswith(f"{GENERATION}|"):
                yield partition, rows

    def promise(self, repository: RepositoryName, digest: Digest) -> None:
        """Remember which object a client has been given."""
        link = self.contents(repository).get(keys.blob(digest))
        if link:
            self.promised[repository, digest] = str(link.values["object"])

    def is_withdrawn(self, repository: RepositoryName, digest: Digest) -> bool:
        """Tell whether what a client was given has turned out to be bad."""
        return self.promised.get((repository, digest)) in self.rotten

    def contents(self, repository: RepositoryName) -> Mapping[str, Row]:
        """Give a repository's rows."""
        partition = keys.contents_partition(GENERATION, repository)
        return self.rows._tables[keys.CONTENTS].get(partition, {})

    def holders(self, digest: Digest) -> Mapping[str, Row]:
        """Give the rows of a blob's digest."""
        return self.rows._tables[keys.BLOBS].get(keys.blob_partition(GENERATION, digest), {})

    def waiting(self, repository: RepositoryName) -> list[str]:
        """Give the keys of events that are to be handed on."""
        rows = self.contents(repository)
        outbox = [row for key, row in rows.items() if key.startswith("outbox|")]
        return sorted(row.key for row in outbox if "state" not in row.values)

    def hand_on(self, repository: RepositoryName, key: str) -> None:
        """Note that an event was handed on."""
        partition = keys.contents_partition(GENERATION, repository)
        at_once(self.rows.commit(keys.CONTENTS, partition, [Update(key, {"state": "handed"})]))

    def listed(self, partition: str = GENERATION) -> set[RepositoryName]:
        """Give the names in the catalog."""
        names = self.rows._tables[keys.REPOSITORIES].get(partition, {})
        return {keys.decode_repository(name) for name in names}

    def kept_in(self) -> set[RepositoryName]:
        """Give the names that are listed since something deleted is kept there."""
        return self.listed(f"deleted|{GENERATION}")


def _nothing_beside(clock: Clock) -> tuple[MemoryObjects, MemoryRows]:
    """Give an empty container, and empty tables, that decide nothing."""
    objects, rows = MemoryObjects(clock), MemoryRows(clock)
    objects._container = _Container()
    rows._tables = {table: {} for table in keys.TABLES}
    return objects, rows


class Process:
    """The services of one process, with its own expectations of what is there.

    A service is made when it is first asked for: most processes need one or two.
    """

    def __init__(
        self,
        world: World,
        number: int,
        rows: Rows,
        objects: Objects,
        messages: Messages,
        generation: str = GENERATION,
    ) -> None:
        numbers = count(1)
        self.gate: Gate | None = None
        self._world = world
        self.stores = Stores.over(
            rows,
            objects,
            messages,
            generation,
            beside=world.beside,
            bodies=Bodies(100_000),
            clock=world.time_of(number),
            new_id=lambda: f"{number:08x}{next(numbers):08x}{0:016x}",
            pause=no_pause,
            ticks=world.clock.ticks,
            policies=world.policies,
        )
        self.late = LateMessages(messages, self.stores.clock, self.stores.new_id)

    async def sees[T](self, look: Callable[[Any], T]) -> T:
        """Look at the world, at no turn of its own."""
        return await self.gate.look(look) if self.gate else look(self._world)

    async def changes[T](self, change: Callable[[Any], T]) -> T:
        """Change the world, at no turn of its own."""
        if self.gate:
            return await self.gate.look(change, is_change=True)
        return change(self._world)

    async def turn[T](
        self, name: str, act: Callable[[Any], Coroutine[Any, Any, T]], *, is_timed: bool = True
    ) -> T:
        """Do something to the world at the process' turn."""
        if self.gate:
            return await self.gate.go(name, act, is_timed=is_timed)
        return await act(self._world)

    @cached_property
    def pushes(self) -> Pushes:
        return Pushes(self.stores, is_sparse_allowed=False)

    @cached_property
    def sparse_pushes(self) -> Pushes:
        return Pushes(self.stores, is_sparse_allowed=True)

    @cached_property
    def manifests(self) -> Manifests:
        return Manifests(self.stores)

    @cached_property
    def purge(self) -> Purge:
        return Purge(self.stores, self.manifests)

    @cached_property
    def restores(self) -> Restores:
        return Restores(self.stores, self.pushes, self.purge)

    @cached_property
    def deletions(self) -> RepositoryDeletions:
        return RepositoryDeletions(self.stores, self.restores, timedelta())

    @cached_property
    def blobs(self) -> Blobs:
        return Blobs(self.stores, GRACE, 60, Turns(9, 1))

    @cached_property
    def uploads(self) -> Uploads:
        return Uploads(self.stores, Staging(self.stores.objects), Seal(b"a key"), timedelta(days=7))

    @cached_property
    def retirement(self) -> Retirement:
        return Retirement(self.stores)

    @cached_property
    def fan_out(self) -> FanOut:
        return FanOut(self.stores)

    @cached_property
    def fallback_lists(self) -> FallbackLists:
        return FallbackLists(self.stores)

    @cached_property
    def upkeep(self) -> Upkeep:
        return Upkeep(
            self.stores,
            self.manifests,
            self.restores,
            self.deletions,
            self.purge,
            self.fallback_lists,
        )

    @cached_property
    def garbage(self) -> Garbage:
        return Garbage(self.stores, GRACE)

    @cached_property
    def collection(self) -> Collection:
        return Collection(self.stores, self.garbage)

    @cached_property
    def leftovers(self) -> Leftovers:
        return Leftovers(self.stores, timedelta(days=7))

    @cached_property
    def verification(self) -> Verification:
        return Verification(self.stores, self.leftovers, self.manifests, SEAL, GRACE)

    @cached_property
    def healing(self) -> Healing:
        return Healing(self.stores)

    @cached_property
    def retries(self) -> Retries:
        return Retries(self.late, Failures(self._world.reports), self.stores.clock)

    async def hear(self, message: Sent) -> None:
        """Do what a message says, as the function behind its queue does."""
        queue, letter = letter_of(message)
        body, run = letter.text().encode(), self.retries.run
        match queue:
            case keys.EVENTS:
                await run(queue, body, Announcement.read, self.fan_out.follow)
            case keys.GARBAGE:
                await run(queue, body, Suspects.read, self.collection.run)
            case keys.VERIFICATION:
                await run(queue, body, ToVerify.read, self._verify)
            case _:
                await run(queue, body, Errand.read, self.upkeep.run)

    async def _verify(self, asked: ToVerify) -> None:
        await self.verification.go_on(asked)


@cache
def asked(queue: str, text: str) -> tuple[str, str, int]:
    """Give what a message comes to, whoever sent it and when: so fewer worlds differ."""
    queue, letter = letter_of(Sent(queue, text, 0))
    return queue, letter.body, letter.tries
