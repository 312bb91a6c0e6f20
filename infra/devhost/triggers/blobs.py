"""Blob triggers, in the manner of Event Grid.

Every event becomes a message on the queue azure-webjobs-blobtrigger-HOSTID, and functions run from
there, with the retries and the poison queue of queue triggers. Events come from the watcher
(blob_watcher), or are posted to /runtime/webhooks/blobs as Event Grid would.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Self

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import BlobClient
from azure.storage.queue import QueueMessage
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from infra.devhost.accounts import Accounts
from infra.devhost.invocations import Call, Invoker
from infra.devhost.settings import STORAGE, HostSettings, StartError, expand
from infra.devhost.triggers.messages import encode, put
from infra.devhost.triggers.queues import QueueListener
from infra.devhost.worker import Function, TypedData

_PREFIX = "Host.Functions."
_QUICK = timedelta(seconds=1)
_SUBJECT = re.compile(r"/blobServices/default/containers/([^/]+)/blobs/(.+)")


@dataclass(frozen=True, slots=True)
class BlobPath:
    """A trigger's `path`: a container, and a pattern for the names of its blobs."""

    container: str
    prefix: str
    pattern: re.Pattern[str]

    @classmethod
    def parse(cls, path: str) -> Self:
        """Parse container/name with {parameters} in the name; a bare container means all of it."""
        container, _, name = path.partition("/")
        if not container or "{" in container:
            raise StartError(f"the blob path {path!r} does not begin with a container's name")
        literals = re.split(r"\{(\w+)\}", name)
        pattern = "".join(
            f"(?P<{part}>.+?)" if i % 2 else re.escape(part) for i, part in enumerate(literals)
        )
        return cls(container, literals[0], re.compile(pattern or ".*", re.DOTALL))

    def parameters(self, blob: str) -> dict[str, str] | None:
        """Give the values of the parameters, or None if the name does not fit."""
        found = self.pattern.fullmatch(blob)
        return found.groupdict() if found else None


class BlobEvents:
    """Takes events in, and runs the functions they are for."""

    def __init__(
        self, functions: Sequence[Function], invoker: Invoker, accounts: Accounts, host_id: str
    ) -> None:
        self._functions = {_PREFIX + function.name: function for function in functions}
        self._paths = {f.id: BlobPath.parse(expand(f.trigger["path"])) for f in functions}
        self._invoker, self._accounts = invoker, accounts
        self._queue = accounts.queue(f"azure-webjobs-blobtrigger-{host_id}")

    def path(self, function: Function) -> BlobPath:
        """Give the path a function watches."""
        return self._paths[function.id]

    def listener(self, settings: HostSettings) -> QueueListener:
        """Make the reader of the events' queue."""
        batch = max(1, min(32, settings.blob_parallelism // 2))
        queues = replace(
            settings.queues,
            batch_size=batch,
            new_batch_threshold=max(0, settings.blob_parallelism - batch),
            max_dequeue_count=settings.poison_blob_threshold,
            max_polling_interval=min(settings.queues.max_polling_interval, _QUICK),
            is_base64=True,
        )
        poison = self._accounts.queue("webjobs-blobtrigger-poison")
        return QueueListener(self._queue, poison, queues, self._handle)

    async def report(self, function: str, container: str, blob: str, etag: str) -> None:
        """Queue the event that a blob was written."""
        event = {
            "Type": "BlobTrigger",
            "FunctionId": _PREFIX + function,
            "BlobType": "BlockBlob",
            "ContainerName": container,
            "BlobName": blob,
            "ETag": etag,
        }
        await put(self._queue, encode(json.dumps(event), is_base64=True))

    async def webhook(self, request: Request) -> Response:
        """Answer Event Grid."""
        kind = request.headers.get("aeg-event-type", "").lower()
        function = request.query_params.get("functionName", "").removeprefix(_PREFIX)
        try:
            content = await request.json()
            events = content if isinstance(content, list) else [content]
            if kind == "subscriptionvalidation":
                return JSONResponse({"validationResponse": events[0]["data"]["validationCode"]})
            if kind == "notification":
                await self._take(function, events)
        except (ValueError, LookupError, TypeError):
            return Response(status_code=400)
        return Response(status_code=202 if kind in {"notification", "unsubscribe"} else 400)

    async def _take(self, function: str, events: list[Any]) -> None:
        for event in events:
            subject = _SUBJECT.fullmatch(event["subject"])
            if not subject:
                raise ValueError(event["subject"])
            await self.report(function, subject[1], subject[2], event["data"].get("eTag", ""))

    async def _handle(self, _: QueueMessage, body: str | bytes) -> bool:
        try:
            event = json.loads(body)
            function = self._functions.get(event["FunctionId"])
            container, blob = event["ContainerName"], event["BlobName"]
        except (ValueError, LookupError, TypeError):
            return False
        if function is None:
            return True
        account = self._accounts.blobs(function.trigger.get("connection") or STORAGE)
        client = account.get_blob_client(container, blob)
        try:
            properties = await client.get_blob_properties()
            data = await _data(function, client)
        except ResourceNotFoundError:  # gone since
            return True
        return await self._invoker.run(function, self._call(function, client, properties, data))

    def _call(
        self, function: Function, client: BlobClient, properties: BlobProperties, data: TypedData
    ) -> Call:
        full_name = f"{client.container_name}/{client.blob_name}"
        return Call(
            reason=f"New blob detected(EventGrid): {full_name}",
            inputs={function.trigger["name"]: data},
            metadata={
                "BlobTrigger": full_name,
                "Uri": client.url,
                "Properties": {
                    "ContentLength": properties.size,
                    "ContentType": properties.content_settings.content_type,
                    "ETag": properties.etag,
                    "LastModified": properties.last_modified.isoformat(),
                },
                "Metadata": properties.metadata,
                **(self.path(function).parameters(client.blob_name) or {}),
            },
        )


async def _data(function: Function, client: BlobClient) -> TypedData:
    if not function.trigger.get("properties", {}).get("SupportsDeferredBinding"):
        stream = await client.download_blob()  # func.InputStream: the whole of it, as in Azure
        return TypedData(bytes=await stream.readall())
    reference = {
        "Connection": function.trigger.get("connection") or STORAGE,
        "ContainerName": client.container_name,
        "BlobName": client.blob_name,
    }
    return TypedData(
        model_binding_data=SimpleNamespace(
            version="1.0",
            source="AzureStorageBlobs",
            content_type="application/json",
            content=json.dumps(reference).encode(),
        )
    )
