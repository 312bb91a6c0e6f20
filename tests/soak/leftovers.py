"""What is left in storage when all is quiet: no event that nobody heard of, nothing in a poison."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from shared.storage import keys

POISON = "-poison"


def messages(storage: str) -> Counter[str]:
    """Count the messages of each queue that has any, seen or not yet."""
    with QueueServiceClient.from_connection_string(storage) as service:
        names = [queue.name for queue in service.list_queues()]
        counts = {
            name: service.get_queue_client(name).get_queue_properties().approximate_message_count
            for name in names
        }
    return Counter({name: count for name, count in counts.items() if count})


def rows(storage: str, begin: str) -> list[str]:
    """Name the rows of `contents` whose keys begin so."""
    condition = f"RowKey ge '{begin}|' and RowKey lt '{begin}}}'"
    with TableServiceClient.from_connection_string(storage) as service:
        found = service.get_table_client(keys.CONTENTS).query_entities(condition)
        return [f"{row['PartitionKey']} {row['RowKey']}" for row in found]


def digests(storage: str) -> Sequence[str]:
    """Name the digests of all objects that are there."""
    with BlobServiceClient.from_connection_string(storage) as service:
        container = service.get_container_client("content")
        try:
            found = [*container.list_blobs(include=["metadata"])]
        except ResourceNotFoundError:
            return []
    return [blob.metadata["digest"] for blob in found if "digest" in blob.metadata]


async def quiet(storage: str, seconds: float) -> None:
    """Wait until every message has been read; fails where one is in a poison, or time is over."""
    deadline = time.monotonic() + seconds
    while left := await asyncio.to_thread(messages, storage):
        poisoned = [name for name in left if name.endswith(POISON)]
        assert not poisoned, f"messages in {poisoned}"
        assert time.monotonic() < deadline, f"messages left: {dict(left)}"
        await asyncio.sleep(1)
