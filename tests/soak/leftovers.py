"""What is in storage when all is quiet: each row and object serves what is live, and none is over.

messages   every queue is empty, sleepers and poison with it
webhooks   no delivery waits or has failed, and nothing is there of a webhook that is gone
contents   no event waits, nothing is half made or half deleted, and nothing deleted is kept any
           more; a link has an edge, an edge comes from a life that is live, and so on
blobs      a digest's content is sound and in service, each holder has its link, and nothing
           that is out of use is yet to be removed
objects    each is the content of its digest, or the body of a life that is live; none is missing
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from shared.storage import keys

_REST = 5
"""How many times as long as it took to look is waited before the next look."""

_PASSING = ("outbox", "build", "deleted")

type Rows = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Stored:
    """All rows of two tables by partition and key, the names of all objects, and all messages.

    `unreadable` says of letters why nobody could read them, `undelivered` what is left over of
    webhooks.
    """

    contents: Mapping[str, Rows]
    blobs: Mapping[str, Rows]
    objects: frozenset[str]
    messages: Mapping[str, int]
    unreadable: Sequence[str] = ()
    undelivered: Sequence[str] = ()

    def live(self) -> set[tuple[str, str]]:
        """Name the manifests that are there, each with its repository."""
        return {
            (keys.repository_of(partition), key.partition("|")[2])
            for partition, rows in self.contents.items()
            for key in rows
            if keys.kind_of(key) == "manifest"
        }

    def faults(self) -> list[str]:
        """Say what should not be as it is."""
        return [
            *(f"{count} messages in {queue}" for queue, count in self.messages.items()),
            *(f"a letter cannot be read: {why}" for why in self.unreadable),
            *self.undelivered,
            *(fault for it in self.contents for fault in _in_repository(it, self.contents[it])),
            *(fault for partition in self.blobs for fault in self._in_digest(partition)),
            *self._in_objects(),
        ]

    def _in_digest(self, partition: str) -> Iterator[str]:
        rows = self.blobs[partition]
        generation, digest = partition.split("|")
        content = rows.get(keys.CONTENT)
        if content is None:
            yield f"{digest} has no content, but {sorted(rows)}"
            return
        if content["state"] != "good" or keys.good(str(content["object"])) not in rows:
            yield f"{digest} is not in service: {content['state']}"
        for key in rows:
            kind = keys.kind_of(key)
            if kind == "gone":
                yield f"{digest}: {key} is not removed"
            if kind == "repo":
                links = self.contents.get(f"{generation}|{keys.last_part(key)}", {})
                if f"blob|{digest}" not in links:
                    yield f"{digest}: the holder {key} has no link"
        if not any(key.startswith(keys.HOLDERS) for key in rows):
            yield f"{digest} has no holder"

    def _in_objects(self) -> Iterator[str]:
        contents = {
            str(rows[keys.CONTENT]["object"])
            for rows in self.blobs.values()
            if keys.CONTENT in rows
        }
        bodies = {
            keys.object_name(partition.partition("|")[0], str(row["life"]))
            for partition, rows in self.contents.items()
            for key, row in rows.items()
            if keys.kind_of(key) == "manifest"
        }
        yield from (f"object {name} is missing" for name in (contents | bodies) - self.objects)
        yield from (f"object {name} is unused" for name in self.objects - contents - bodies)


def _in_repository(partition: str, rows: Rows) -> Iterator[str]:
    where = keys.repository_of(partition)
    lives = {
        (key.partition("|")[2], row["life"])
        for key, row in rows.items()
        if keys.kind_of(key) == "manifest"
    }
    targets = {key.split("|")[1] for key in rows if key.startswith("edge|")}
    for key in rows:
        kind, *rest = key.split("|")
        is_over = (
            kind in _PASSING
            or (kind == "blob" and rest[0] not in targets)
            or (kind == "edge" and (rest[1], rest[2]) not in lives)
            or (kind == "tagged" and f"tag|{rest[1]}" not in rows)
            or (kind == "tag" and f"manifest|{rows[key]['digest']}" not in rows)
            or (kind == "referrer" and f"manifest|{rest[1]}" not in rows)
        )
        if is_over:
            yield f"{where}: {key} is over"
        is_lost = kind == "edge" and not {f"blob|{rest[0]}", f"manifest|{rest[0]}"} & rows.keys()
        if is_lost and (rest[1], rest[2]) in lives:
            yield f"{where}: {rest[1]} lacks {rest[0]}"
    if lives and keys.WRITABLE not in rows:
        yield f"{where} is not writable"


def stored(storage: str) -> Stored:
    """Read all that is in storage."""
    with TableServiceClient.from_connection_string(storage) as tables:
        contents, blobs = (_rows(tables, name) for name in (keys.CONTENTS, keys.BLOBS))
        registries = tables.get_table_client(keys.REGISTRIES)
        failing = registries.query_entities(f"PartitionKey eq '{keys.FAILING}'")
        why = [f"{row['RowKey']}: {row['why']}" for row in failing if "due" not in row]
        left = undelivered(tables)
    return Stored(contents, blobs, _objects(storage), messages(storage), why, left)


async def tidy(storage: str, seconds: float) -> Stored:
    """Wait until nothing is at fault in storage; fails where time is over.

    All is read once no message waits any more: the emulator has much to do for that.
    """
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        if began > deadline or not await asyncio.to_thread(messages, storage):
            there = await asyncio.to_thread(stored, storage)
            if not (faults := there.faults()):
                return there
            assert began < deadline, "\n".join([f"{len(faults)} left:", *faults[:20]])
        await asyncio.sleep(max(1, _REST * (time.monotonic() - began)))


def messages(storage: str) -> Mapping[str, int]:
    """Count the messages of each queue that has any, seen or not yet."""
    with QueueServiceClient.from_connection_string(storage) as service:
        names = [queue.name for queue in service.list_queues()]
        counts = {
            name: service.get_queue_client(name).get_queue_properties().approximate_message_count
            for name in names
        }
    return {name: count for name, count in counts.items() if count}


def _rows(tables: TableServiceClient, name: str) -> Mapping[str, Rows]:
    found: dict[str, dict[str, Mapping[str, object]]] = defaultdict(dict)
    wanted = ["PartitionKey", "RowKey", "life", "object", "state", "digest"]
    for row in tables.get_table_client(name).list_entities(select=wanted):
        found[row["PartitionKey"]][row["RowKey"]] = row
    return found


def undelivered(tables: TableServiceClient) -> Sequence[str]:
    """Find what is over of webhooks; what was delivered stays for some days, and is not read."""
    table = tables.get_table_client(keys.WEBHOOKS)
    hooks = list(table.query_entities("id gt ''", select=["PartitionKey", "id"]))
    known = {keys.deliveries(row["PartitionKey"], row["id"]) for row in hooks}
    states = "(RowKey ge 'waiting|' and RowKey lt 'waiting}') or state eq 'failed'"
    others = " and ".join(f"PartitionKey ne '{name}'" for name in {*known})
    gone = f" or (PartitionKey gt '{hooks[0]['PartitionKey']}|' and {others})" if hooks else ""
    found = table.query_entities(f"{states}{gone}", select=["PartitionKey", "RowKey", "why"])
    return [f"{row['PartitionKey']}: {row['RowKey']} is left: {row.get('why')}" for row in found]


def _objects(storage: str) -> frozenset[str]:
    with BlobServiceClient.from_connection_string(storage) as service:
        try:
            return frozenset(service.get_container_client("content").list_blob_names())
        except ResourceNotFoundError:
            return frozenset()
