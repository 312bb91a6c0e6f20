"""A message stays hidden for as long as its function runs, however long that is."""

import asyncio
import uuid
from datetime import timedelta

import pytest
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueServiceClient

from infra.devhost.settings import QueueSettings
from infra.devhost.stopping import Stopping
from infra.devhost.storage import Azurite
from infra.devhost.triggers.queues import QueueListener

pytestmark = pytest.mark.emulator


async def test_visibility_is_renewed_while_the_function_runs(azurite: Azurite) -> None:
    runs, stopping = 0, Stopping()

    async def handle(_: QueueMessage, body: str | bytes) -> bool:
        nonlocal runs
        runs += 1
        await asyncio.sleep(5)
        stopping.set()
        return body == "plain"

    async with QueueServiceClient.from_connection_string(azurite.connection_string) as service:
        queue = service.get_queue_client(f"t{uuid.uuid4().hex}")
        await queue.create_queue()
        await queue.send_message("plain")
        settings = QueueSettings(is_base64=False, max_polling_interval=timedelta(seconds=0.2))
        listener = QueueListener(queue, None, settings, handle, timedelta(seconds=2))
        await listener.run(stopping)
        properties = await queue.get_queue_properties()
    assert runs == 1
    assert properties.approximate_message_count == 0


async def test_a_message_whose_function_is_cut_off_is_seen_again_at_once(azurite: Azurite) -> None:
    begun = asyncio.Event()

    async def handle(_: QueueMessage, __: str | bytes) -> bool:
        begun.set()
        await asyncio.sleep(600)
        return True

    async with QueueServiceClient.from_connection_string(azurite.connection_string) as service:
        queue = service.get_queue_client(f"t{uuid.uuid4().hex}")
        await queue.create_queue()
        await queue.send_message("plain")
        listener = QueueListener(queue, None, QueueSettings(is_base64=False), handle)
        listening = asyncio.create_task(listener.run(Stopping()))
        await begun.wait()
        assert await queue.receive_message() is None
        listening.cancel()
        await asyncio.wait([listening])
        seen = await queue.receive_message()
    assert seen
    assert (seen.content, seen.dequeue_count) == ("plain", 2)
