"""Messages: sent, seen after their delay, never lost to time."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from azure.storage.queue import TextBase64DecodePolicy

from shared.storage.azure.accounts import AzureAccount
from shared.storage.azure.queues import AzureMessages
from shared.storage.memory.messages import MemoryMessages
from shared.storage.ports import Messages, NotPrepared

WEEK = 7 * 24 * 60 * 60

TEXTS = ["plain", '{"id": "0|a"}', "<a>&amp;</a>", "Grüße, 世界", " \t\n", "x" * 40_000]

type Seen = Callable[[], Awaitable[list[str]]]


@pytest.fixture
def seen(place: str | None, messages: Messages, name: str) -> Seen:
    """Tell the texts that a reader of the queue gets now."""

    async def kept() -> list[str]:
        assert isinstance(messages, MemoryMessages)
        return [body for queue, body, delay in messages.sent if queue == name and not delay]

    async def peeked() -> list[str]:
        account = AzureAccount(str(place))
        queue = account.queues.get_queue_client(
            name, message_decode_policy=TextBase64DecodePolicy()
        )
        found = await queue.peek_messages(32)
        await account.close()
        return [message.content for message in found]

    return kept if place is None else peeked


class TestMessages:
    async def test_a_text_is_seen_as_it_was_sent(
        self, messages: Messages, name: str, seen: Seen
    ) -> None:
        await messages.prepare([name])
        for text in TEXTS:
            await messages.send(name, text)

        assert await seen() == TEXTS

    async def test_a_delayed_text_is_not_seen_yet(
        self, messages: Messages, name: str, seen: Seen
    ) -> None:
        await messages.prepare([name])
        await messages.send(name, "in a week", WEEK)
        await messages.send(name, "in an hour", 3600)
        await messages.send(name, "now")

        assert await seen() == ["now"]

    async def test_queues_are_apart(self, messages: Messages, name: str, seen: Seen) -> None:
        await messages.prepare([name, name + "x"])
        await messages.send(name + "x", "other")

        assert await seen() == []

    async def test_making_a_queue_twice_keeps_it(
        self, messages: Messages, name: str, seen: Seen
    ) -> None:
        await messages.prepare([name])
        await messages.send(name, "kept")

        await messages.prepare([name, name + "x"])

        assert await seen() == ["kept"]

    async def test_a_missing_queue_is_said_so(self, messages: Messages, name: str) -> None:
        with pytest.raises(NotPrepared):
            await messages.send(name, "lost")

    async def test_memory_tells_what_was_sent(self) -> None:
        messages = MemoryMessages()
        await messages.prepare(["q", "r"])
        await messages.send("q", "one")
        await messages.send("r", "two", 5)

        assert messages.sent == [("q", "one", 0), ("r", "two", 5)]


@pytest.mark.emulator
class TestAzureMessages:
    async def test_a_delayed_text_is_seen_in_the_end(
        self, account: AzureAccount, name: str
    ) -> None:
        messages = AzureMessages(account)
        await messages.prepare([name])
        await messages.send(name, "late", 1)
        queue = account.queues.get_queue_client(name)

        assert await queue.peek_messages() == []
        await asyncio.sleep(1.5)
        assert len(await queue.peek_messages()) == 1

    async def test_a_text_never_expires(self, account: AzureAccount, name: str) -> None:
        messages = AzureMessages(account)
        await messages.prepare([name])
        await messages.send(name, "kept")

        [message] = await account.queues.get_queue_client(name).peek_messages()

        assert message.expires_on is not None
        assert message.expires_on.year == 9999
