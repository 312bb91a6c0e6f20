"""A world with webhooks: receivers outside, whose answers are told beforehand, and what they got.

Clocks differ: of the processes with even numbers they are ahead, of those with odd ones behind.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import orjson
import standardwebhooks

from shared.model.outbound.posting import NoReply, Posting, Reply
from shared.model.webhooks import callbacks
from shared.model.webhooks.callbacks import CallbackSeal
from shared.model.webhooks.webhook import Callback, Webhook
from shared.services.events.fan_out import FanOut
from shared.services.webhooks.attempting import Attempting, Underway
from shared.services.webhooks.configuration.registering import Registering
from shared.services.webhooks.delivering import Deliverer
from shared.services.webhooks.probing import Probing
from shared.services.webhooks.replaying import Replays
from shared.services.webhooks.requests.signatures import whsec_of
from shared.services.webhooks.tasks import Tasks
from shared.services.webhooks.tending import Tending
from shared.storage import keys
from shared.storage.memory.messages import Sent
from shared.storage.messages.delivering import ToDeliver
from shared.storage.ports import Row, Unavailable, Value
from shared.storage.rows.webhooks.deliveries import Delivery
from shared.storage.rows.webhooks.webhooks import _read
from tests.simulation.kept import NumberedRows
from tests.simulation.loop import at_once
from tests.simulation.world import GENERATION, Process, World
from tests.support.messages import letter_of

SERVER = "registry.example"
WRONG = timedelta(seconds=40)
"""By how much a clock is wrong."""

SILENCE, NOBODY = 0, -1
"""A receiver takes all and does not answer; nobody is there."""

_KEPT = timedelta(days=7)
_KEY = b"s" * 32


@dataclass(frozen=True, slots=True)
class Got:
    """What a receiver got, at which path, and what it answered."""

    path: str
    id: str
    body: bytes
    status: int


class Receivers:
    """All receivers; each answers as told by its path, the last answer for good.

    `closed` are the paths at which nothing is to begin any more, `secrets` what alone is to sign
    from now on. `broken` tells where that was not so.
    """

    def __init__(self) -> None:
        self.answers: Mapping[str, Sequence[int]] = {}
        self.got: tuple[Got, ...] = ()
        self.closed: frozenset[str] = frozenset()
        self.secrets: Mapping[str, str] = {}
        self.broken: tuple[str, ...] = ()

    def copy(self) -> Self:
        """Give others that have got the same."""
        other = type(self)()
        other.answers, other.got, other.closed = self.answers, self.got, self.closed
        other.secrets, other.broken = self.secrets, self.broken
        return other

    def signature(self) -> int:
        """Tell apart what they got, in whichever order."""
        got = sorted((it.path, it.id, it.status) for it in self.got)
        closed, secrets = sorted(self.closed), sorted(self.secrets.items())
        return hash((tuple(got), tuple(closed), tuple(secrets), self.broken))

    def close(self, path: str) -> None:
        """Let nothing begin at a path from now on."""
        self.closed |= {path}

    def open(self, path: str) -> None:
        """Let all begin again."""
        self.closed -= {path}

    def heed(self, path: str, secret: str) -> None:
        """Let a secret alone sign from now on."""
        self.secrets = {**self.secrets, path: secret}

    def begin(self, posting: Posting) -> None:
        """Note what is wrong with an attempt that begins now."""
        path = _path(posting)
        if path in self.closed:
            self.broken += (f"an attempt at {path} has begun that is closed",)
        secret = self.secrets.get(path)
        if secret and not _is_signed(posting, secret):
            self.broken += (f"an attempt at {path} is not signed by {secret} alone",)

    def take(self, posting: Posting) -> Reply | NoReply:
        """Take a request, and answer."""
        path = _path(posting)
        answers = self.answers[path]
        status = answers[min(sum(it.path == path for it in self.got), len(answers) - 1)]
        name = posting.headers.get("webhook-id") or str(orjson.loads(posting.body)["id"])
        self.got += (Got(path, name, posting.body, status),)
        if status in {SILENCE, NOBODY}:
            is_taken = status == SILENCE
            return NoReply(f"nobody answers, took all: {is_taken}", took_all=is_taken)
        return Reply(status, "as told", "1.1", {}, b"")


def _path(posting: Posting) -> str:
    return posting.url.rpartition("/")[2]


def _is_signed(posting: Posting, secret: str) -> bool:
    at = datetime.fromtimestamp(int(posting.headers["webhook-timestamp"]), UTC)
    signer = standardwebhooks.Webhook(whsec_of(secret))
    wanted = signer.sign(posting.headers["webhook-id"], at, posting.body.decode())
    return posting.headers["webhook-signature"] == wanted


class GatedPoster:
    """A process' way out; behind its gate, if it has one."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def post(self, posting: Posting) -> Reply:
        """Post at the turn; what begins now is checked now."""

        async def take(world: HookWorld) -> Reply | NoReply:
            return world.receivers.take(posting)

        await self._process.changes(lambda world: world.receivers.begin(posting))
        try:
            answer = await self._process.turn(f"post to {_path(posting)}", take)
        except Unavailable:
            raise NoReply("it was given up", took_all=True) from None
        if isinstance(answer, NoReply):
            raise answer
        return answer

    async def check(self, url: str) -> None:
        """Allow all."""


class SteadySeal(CallbackSeal):
    """Seals the same to the same bytes, so that worlds can be told apart."""

    def close(self, callback: Callback, webhook: str) -> bytes:
        """Seal it by a nonce that follows from it."""
        packed = orjson.dumps(callback)
        nonce = hashlib.sha256(packed).digest()[: callbacks._NONCE_BYTES]
        bound = callbacks._bound(webhook)
        return callbacks._VERSION + nonce + self._ciphers[0].encrypt(nonce, packed, bound)


class HookRows(NumberedRows):
    """Rows that are written one after the other, as storage's clock tells."""

    def _keep(self, rows: dict[str, Row], key: str, values: Mapping[str, Value] | None) -> None:
        super()._keep(rows, key, values)
        if values is not None:
            row = rows[key]
            number = int(row.etag.strip('W/"'))
            rows[key] = replace(row, written=row.written + timedelta(microseconds=number))


class HookWorld(World):
    """All there is, and the receivers. `taken` are messages that somebody has in hand.

    `first` is the id of the first webhook. `replays` counts what operators sent again;
    `is_disturbed`: a message was given to two at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows = HookRows(self.clock)
        at_once(self.rows.prepare(keys.TABLES))
        self.receivers = Receivers()
        self.taken: frozenset[int] = frozenset()
        self.replays = 0
        self.is_disturbed = False
        self.was_disabled = False
        self.first = ""

    def copy(self) -> Self:
        """Give another world that looks the same."""
        other = super().copy()
        other.receivers = self.receivers.copy()
        return other

    def signature(self) -> object:
        """Tell two worlds apart."""
        noted = self.taken, self.replays, self.was_disabled
        return super().signature(), self.receivers.signature(), noted

    def whole(self) -> object:
        """Tell two worlds apart, even where none who is in them could do so yet."""
        bodies = frozenset((it.id, it.body) for it in self.receivers.got)
        return super().whole(), bodies, self.is_disturbed

    def time_of(self, number: int) -> Callable[[], datetime]:
        """Give the clock of a process."""
        wrong = WRONG if number % 2 == 0 else -WRONG
        return lambda: self.clock.now + wrong + timedelta(microseconds=number)

    @property
    def started(self) -> type[Process]:
        """Give what processes are here."""
        return HookProcess

    def webhook(self, name: str = "hook1") -> Webhook | None:
        """Read a webhook."""
        return next((it for it in self.webhooks() if it.name == name), None)

    def webhooks(self) -> list[Webhook]:
        """Read all."""
        return [_read(row) for row in self.rows._tables[keys.WEBHOOKS].get(GENERATION, {}).values()]

    def rows_of(self, webhook: str) -> Mapping[str, Row]:
        """Give the rows of the deliveries of a webhook, by its id."""
        return self.rows._tables[keys.WEBHOOKS].get(keys.deliveries(GENERATION, webhook), {})

    def deliveries(self, webhook: str) -> Iterator[Delivery]:
        """Read all deliveries to a webhook, by its id."""
        for key, row in self.rows_of(webhook).items():
            if key.startswith("delivery|"):
                yield Delivery.read(row)

    def count_replay(self) -> None:
        """Note that an operator has sent something again."""
        self.replays += 1

    def next_message(self, *queues: str) -> int | None:
        """Give the place of the message that is to be seen next, and let it be that time."""
        messages = self.messages
        waiting: list[tuple[datetime, int]] = []
        for place, message in enumerate(messages.sent):
            if place in messages.heard or place in self.taken:
                continue
            if letter_of(message)[0] in queues:
                due = messages.moments[place] + timedelta(seconds=message.delay)
                waiting.append((due, place))
        if not waiting:
            return None
        due, place = min(waiting)
        self.clock.now = max(self.clock.now, due)
        return place


class HookProcess(Process):
    """The services of one process, and those that see to webhooks."""

    def __init__(self, world: HookWorld, *rest: Any) -> None:
        super().__init__(world, *rest)
        stores, seal, underway = self.stores, SteadySeal(_KEY), Underway()
        poster = GatedPoster(self)
        attempting = Attempting(poster, seal, SERVER, stores.clock, stores.ticks)
        deliverer = Deliverer(stores, attempting, underway)
        self.tasks = Tasks(deliverer, Probing(stores, deliverer, underway))
        self.replays = Replays(stores)
        self.tending = Tending(stores, _KEPT)
        self.fan_out = FanOut(stores, SERVER)
        self.registering = Registering(stores, seal, poster)

    async def hear(self, message: Sent) -> None:
        """Do what a message says, as the function behind its queue does."""
        queue, letter = letter_of(message)
        if queue != keys.DELIVERIES:
            await super().hear(message)
            return
        body = letter.text().encode()
        await self.retries.run(queue, body, ToDeliver.read, self.tasks.do)


def path_of(webhook: Webhook) -> str:
    """Give the path that a webhook posts to."""
    return SteadySeal(_KEY).open(webhook.sealed, webhook.id).uri.rpartition("/")[2]
