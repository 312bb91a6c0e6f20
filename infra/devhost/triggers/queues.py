"""Queue triggers: fetch, run, then delete, show again, or put aside as poison."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

from infra.devhost.accounts import Accounts
from infra.devhost.invocations import Call, Invoker
from infra.devhost.settings import STORAGE, QueueSettings, expand
from infra.devhost.stopping import Stopping
from infra.devhost.triggers.messages import decode, put
from infra.devhost.worker import Function, TypedData

VISIBILITY = timedelta(minutes=10)
"""How long a message that is being worked on is hidden from others, unless that is renewed."""

_FIRST_PAUSE = 0.1
_PARTING_SECONDS = 3
_log = logging.getLogger(__name__)

type Handler = Callable[[QueueMessage, str | bytes], Awaitable[bool]]


class QueueListener:
    """Feeds the messages of one queue to a handler, which tells whether it succeeded."""

    def __init__(
        self,
        queue: QueueClient,
        poison: QueueClient | None,
        settings: QueueSettings,
        handle: Handler,
        visibility: timedelta | None = None,
    ) -> None:
        self._queue, self._poison, self._settings, self._handle = queue, poison, settings, handle
        self._visibility = (visibility or VISIBILITY).total_seconds()

    async def run(self, stopping: Stopping) -> None:
        """Listen until the host is to end; then wait for the messages in work."""
        empty_rounds = 0
        running: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as group:
            while not stopping.is_set():
                batch = await self._receive()
                running |= {group.create_task(self._process(message)) for message in batch}
                empty_rounds = 0 if batch else empty_rounds + 1
                if empty_rounds:
                    await stopping.pause(self._back_off(empty_rounds))
                while running and len(running) > self._settings.new_batch_threshold:
                    _, running = await asyncio.wait(running, return_when="FIRST_COMPLETED")
                running = {task for task in running if not task.done()}

    def _back_off(self, rounds: int) -> float:
        growth = (2.0 ** min(rounds - 1, 20) - 1) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
        longest = self._settings.max_polling_interval.total_seconds()
        return min(_FIRST_PAUSE * (1 + growth), longest)

    async def _receive(self) -> list[QueueMessage]:
        # The call is never cancelled: messages it had already taken would stay hidden for minutes.
        pages = self._queue.receive_messages(
            messages_per_page=self._settings.batch_size, visibility_timeout=int(self._visibility)
        ).by_page()
        try:
            async for page in pages:
                return [message async for message in page]
        except ResourceNotFoundError:  # made later, perhaps
            return []
        except AzureError as error:
            _log.warning("queue %s cannot be read: %s", self._queue.queue_name, error)
        return []

    async def _process(self, message: QueueMessage) -> None:
        try:
            await self._handle_and_finish(message)
        except AzureError as error:
            _log.warning("message %s of %s: %s", message.id, self._queue.queue_name, error)

    async def _handle_and_finish(self, message: QueueMessage) -> None:
        try:
            body = decode(message.content, is_base64=self._settings.is_base64)
        except ValueError:
            await self._put_aside(message)
            return
        if _dequeued(message) > self._settings.max_dequeue_count:
            await self._put_aside(message)
            return
        try:
            async with self._hidden(message):
                succeeded = await self._handle(message, body)
        except asyncio.CancelledError:
            await self._let_go(message)
            raise
        if succeeded:
            await self._queue.delete_message(message)
        elif _dequeued(message) >= self._settings.max_dequeue_count:
            await self._put_aside(message)
        else:
            seconds = int(self._settings.visibility_timeout.total_seconds())
            await self._queue.update_message(message, visibility_timeout=seconds)

    async def _let_go(self, message: QueueMessage) -> None:
        """Let others see at once what is cut off here."""
        _log.warning("Message %s of %s is cut off.", message.id, self._queue.queue_name)
        async with asyncio.timeout(_PARTING_SECONDS):
            await self._queue.update_message(message, visibility_timeout=0)

    async def _put_aside(self, message: QueueMessage) -> None:
        if self._poison:
            _log.warning("Message %s goes to %s.", message.id, self._poison.queue_name)
            await put(self._poison, message.content)
        await self._queue.delete_message(message)

    @asynccontextmanager
    async def _hidden(self, message: QueueMessage) -> AsyncIterator[None]:
        finished = Stopping()
        renewal = asyncio.create_task(self._renew(message, finished))
        try:
            yield
        finally:
            finished.set()
            await renewal

    async def _renew(self, message: QueueMessage, finished: Stopping) -> None:
        # Never cancelled: a renewal cut off would leave us with a receipt that is no longer good.
        while True:
            await finished.pause(self._visibility / 2)
            if finished.is_set():
                return
            try:
                renewed = await self._queue.update_message(
                    message, visibility_timeout=int(self._visibility)
                )
                message.pop_receipt = renewed.pop_receipt
            except AzureError as error:
                _log.warning("message %s cannot be kept hidden: %s", message.id, error)


def listener(
    function: Function, invoker: Invoker, accounts: Accounts, settings: QueueSettings
) -> QueueListener:
    """Make the listener of a queue-triggered function."""
    name = expand(function.trigger["queueName"])
    connection = function.trigger.get("connection") or STORAGE
    poison = None if name.endswith("-poison") else accounts.queue(f"{name}-poison", connection)

    async def handle(message: QueueMessage, body: str | bytes) -> bool:
        return await invoker.run(function, _call(function, name, message, body))

    return QueueListener(accounts.queue(name, connection), poison, settings, handle)


def _call(function: Function, queue: str, message: QueueMessage, body: str | bytes) -> Call:
    data = TypedData(string=body) if isinstance(body, str) else TypedData(bytes=body)
    inserted = _iso(message.inserted_on)
    return Call(
        reason=f"New queue message detected on '{queue}'.",
        inputs={function.trigger["name"]: data},
        metadata={
            "QueueTrigger": body if isinstance(body, str) else body.decode(errors="replace"),
            "Id": message.id,
            "DequeueCount": message.dequeue_count,
            "InsertionTime": inserted,
            "ExpirationTime": _iso(message.expires_on),
            "NextVisibleTime": _iso(message.next_visible_on),
            "PopReceipt": message.pop_receipt,
        },
        details=f"MessageId: {message.id}, DequeueCount: {message.dequeue_count}, "
        f"InsertionTime: {inserted}",
    )


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _dequeued(message: QueueMessage) -> int:
    return message.dequeue_count or 0
