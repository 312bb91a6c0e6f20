"""Webhooks over memory: a poster that says what it is told to, and messages that come when due."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from shared.events import Event, ManifestPushed
from shared.model.names import RepositoryName
from shared.model.outbound.posting import NoReply, Posting, Reply
from shared.model.webhooks.callbacks import CallbackSeal
from shared.model.webhooks.webhook import Callback, Health, Secret, Webhook
from shared.services.webhooks.attempting import Attempting, Underway
from shared.services.webhooks.delivering import Deliverer
from shared.services.webhooks.probing import Probing
from shared.services.webhooks.replaying import Replays
from shared.services.webhooks.tasks import Tasks
from shared.services.webhooks.telling import Telling
from shared.services.webhooks.tending import Tending
from shared.storage import keys
from shared.storage.messages.delivering import ToDeliver
from shared.storage.rows.webhooks.deliveries import Delivery, State
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.support.messages import awake

REPOSITORY = RepositoryName("team/app")
HOST = "registry.test"

type Answer = Reply | NoReply


def replies(status: int, headers: Mapping[str, str] | None = None, reason: str = "") -> Reply:
    """Make an answer."""
    return Reply(status, reason, "HTTP/1.1", headers or {}, b"")


OK = replies(200, reason="OK")
REFUSED = NoReply("https://ci.example refused the connection")
SILENT = NoReply("https://ci.example did not answer within 10 s", took_all=True)


@dataclass(slots=True)
class ScriptedPoster:
    """Posts nowhere: gives what `answers` hold in turn, then `always`, and keeps what was posted.

    `meanwhile` happens while a receiver has it; `decides` gives an answer by what is posted.
    """

    always: Answer = OK
    answers: list[Answer] = field(default_factory=list)
    posted: list[Posting] = field(default_factory=list)
    meanwhile: Callable[[], Any] | None = None
    decides: Callable[[Posting], Answer] | None = None

    async def post(self, posting: Posting) -> Reply:
        """Say what comes next."""
        self.posted.append(posting)
        if self.meanwhile:
            happens, self.meanwhile = self.meanwhile, None
            await happens()
        answer = self.answers.pop(0) if self.answers else self.always
        if self.decides:
            answer = self.decides(posting)
        if isinstance(answer, NoReply):
            raise answer
        return answer

    async def check(self, url: str) -> None:
        """Allow all."""

    @property
    def ids(self) -> list[str]:
        """Give the `webhook-id` of each posting."""
        return [posting.headers["webhook-id"].replace("-", "") for posting in self.posted]


@dataclass(slots=True)
class Rig:
    """The services of webhooks over memory."""

    stores: Stores
    memory: Memory
    clock: Clock
    poster: ScriptedPoster = field(default_factory=ScriptedPoster)
    seal: CallbackSeal = field(default_factory=lambda: CallbackSeal(b"k" * 32))
    underway: Underway = field(default_factory=Underway)

    @property
    def tasks(self) -> Tasks:
        """Give what a message of the queue comes to."""
        return Tasks(self.deliverer, Probing(self.stores, self.deliverer, self.underway))

    @property
    def deliverer(self) -> Deliverer:
        """Give who delivers."""
        attempting = Attempting(self.poster, self.seal, HOST, self.clock, self.clock.ticks)
        return Deliverer(self.stores, attempting, self.underway)

    @property
    def replays(self) -> Replays:
        """Give who sends by hand."""
        return Replays(self.stores)

    def tending(self, days: int = 7) -> Tending:
        """Give who tidies up."""
        return Tending(self.stores, timedelta(days=days))

    async def hook(
        self, name: str = "hooka", callback: Callback | None = None, **more: Any
    ) -> Webhook:
        """Make a webhook."""
        known = callback or Callback(
            "https://ci.example/hook?code=s3cret", {}, [Secret("s3cret-key")]
        )
        webhook = Webhook(name, self.stores.new_id(), self.clock(), **more)
        sealed = self.seal.close(known, webhook.id)
        return await self.stores.webhooks.create(replace(webhook, sealed=sealed))

    async def change(self, name: str = "hooka", **fields: Any) -> Webhook:
        """Change a webhook, as an operator does."""
        there = await self.stores.webhooks.find(name)
        assert there
        return await self.stores.webhooks.change(replace(there, **fields))

    async def health(self, name: str = "hooka") -> Health:
        """Tell how its receiver does."""
        there = await self.stores.webhooks.find(name)
        assert there
        return there.health

    async def push(self, tag: str = "v1", event: Event | None = None) -> str:
        """Let something happen, and have it told; give its TIME-ID."""
        now = self.clock()
        key = self.stores.outbox.key(now)
        told = event or ManifestPushed("sha256:" + "d" * 64, tag, "m", 7, ME, now)
        telling = Telling(self.stores)
        await telling.tell(REPOSITORY, key, told, await telling.webhooks())
        self.clock.move(milliseconds=1)
        return keys.event_name(key)

    async def find(self, webhook: Webhook, name: str) -> Delivery:
        """Give a delivery that is there."""
        found = await self.stores.deliveries.find(webhook.id, name)
        assert found
        return found

    async def states(self, webhook: Webhook) -> list[State]:
        """Give what has become of all, the oldest first."""
        page = await self.stores.deliveries.page(webhook.id, limit=1_000)
        return [one.state for one in reversed(page)]

    def waiting(self) -> list[ToDeliver]:
        """Give the messages that wait."""
        sent = [awake(message) for message in self.memory.messages.sent]
        return [ToDeliver.read(it.body.encode()) for it in sent if it.queue == keys.DELIVERIES]

    async def run(self, **span: float) -> int:
        """Do what is due within a span of time, each message when it is; count them."""
        end, count = self.clock() + timedelta(**span), 0
        while (due := self._next()) and due[0] <= end:
            self.clock.now = max(self.clock.now, due[0])
            self.memory.messages.sent.remove(due[1])
            await self.tasks.do(ToDeliver.read(awake(due[1]).body.encode()))
            count += 1
        self.clock.now = max(self.clock.now, end)
        return count

    def _next(self) -> tuple[Any, Any] | None:
        mine = [it for it in self.memory.messages.sent if awake(it).queue == keys.DELIVERIES]
        seen = [(it.seen_at, place, it) for place, it in enumerate(mine)]  # type: ignore[attr-defined]
        return min(seen)[::2] if seen else None
