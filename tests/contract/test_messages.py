"""Messages: sent, seen after their delay, never lost to time."""

import asyncio

import pytest

from shared.storage.azure.account.account import AzureAccount
from shared.storage.azure.queues import AzureMessages
from shared.storage.memory.messages import MemoryMessages
from shared.storage.ports import Messages, NotPrepared, Received
from tests.support.clock import Clock

WEEK = 7 * 24 * 60 * 60

TEXTS = ["plain", '{"id": "0|a"}', "<a>&amp;</a>", "Grüße, 世界", " \t\n", "x" * 40_000]


class TestMessages:
    async def test_a_text_is_seen_as_it_was_sent(self, messages: Messages, name: str) -> None:
        await messages.prepare([name])
        for text in TEXTS:
            await messages.send(name, text)

        assert await messages.peek(name, 32) == TEXTS

    async def test_a_delayed_text_is_not_seen_yet(self, messages: Messages, name: str) -> None:
        await messages.prepare([name])
        await messages.send(name, "in a week", WEEK)
        await messages.send(name, "in an hour", 3600)
        await messages.send(name, "now")

        assert await messages.peek(name, 32) == ["now"]

    async def test_queues_are_apart(self, messages: Messages, name: str) -> None:
        await messages.prepare([name, name + "x"])
        await messages.send(name + "x", "other")

        assert await messages.peek(name, 32) == []

    async def test_making_a_queue_twice_keeps_it(self, messages: Messages, name: str) -> None:
        await messages.prepare([name])
        await messages.send(name, "kept")

        await messages.prepare([name, name + "x"])

        assert await messages.peek(name, 32) == ["kept"]

    async def test_a_missing_queue_is_said_so(self, messages: Messages, name: str) -> None:
        with pytest.raises(NotPrepared):
            await messages.send(name, "lost")

    async def test_a_text_that_was_received_is_hidden_until_it_is_deleted(
        self, messages: Messages, name: str
    ) -> None:
        await messages.prepare([name])
        for text in TEXTS:
            await messages.send(name, text)

        first = await messages.receive(name, 2, 600)
        others = await messages.receive(name, 32, 600)

        assert [one.body for one in (*first, *others)] == TEXTS
        assert await messages.receive(name, 32, 600) == []
        assert await messages.peek(name, 32) == []
        assert await messages.delete(name, first[0])
        assert not await messages.delete(name, first[0])

    async def test_a_text_that_was_received_and_not_deleted_comes_back(
        self, messages: Messages, name: str, clock: Clock
    ) -> None:
        await messages.prepare([name])
        await messages.send(name, "text")
        [first] = await messages.receive(name, 32, 1)
        clock.move(seconds=2)
        await asyncio.sleep(1.5)

        assert await messages.peek(name, 32) == ["text"]
        [second] = await messages.receive(name, 32, 600)

        assert second.id == first.id
        assert not await messages.delete(name, first)
        assert await messages.delete(name, second)

    async def test_what_was_sent_late_is_not_received_yet(
        self, messages: Messages, name: str
    ) -> None:
        await messages.prepare([name])
        await messages.send(name, "late", 60)

        assert await messages.receive(name, 32, 60) == []

    async def test_texts_that_say_the_same_are_two(self, messages: Messages, name: str) -> None:
        await messages.prepare([name])
        await messages.send(name, "same")
        await messages.send(name, "same")

        first, _ = await messages.receive(name, 32, 60)

        assert await messages.delete(name, first)
        assert await messages.peek(name, 1) == []

    async def test_nothing_is_taken_from_a_missing_queue(
        self, messages: Messages, name: str
    ) -> None:
        for call in (
            messages.receive(name, 1, 60),
            messages.peek(name, 1),
            messages.delete(name, Received("1", "", "1")),
        ):
            with pytest.raises(NotPrepared):
                await call

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

    async def test_a_text_that_is_not_base64_is_received_as_it_is(
        self, account: AzureAccount, name: str
    ) -> None:
        messages = AzureMessages(account)
        await messages.prepare([name])
        queue = account.queues.get_queue_client(name)
        for text in ("by hand", "Zm9vCg=", "/+8="):
            await queue.send_message(text)
        await messages.send(name, "ours")

        assert await messages.peek(name, 32) == ["by hand", "Zm9vCg=", "/+8=", "ours"]
        received = await messages.receive(name, 32, 60)
        assert [one.body for one in received] == ["by hand", "Zm9vCg=", "/+8=", "ours"]
