"""The registry in this process: the real function_app.py through Microsoft's worker, over memory.

The worker indexes the app once a process (`Functions`); a `Site` is a registry of its own on it,
with fresh stores, a clock and settings. What a site sees differs from Azure in its ports alone.
"""

import asyncio
import functools
import json
import os
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from infra.devhost import functions as app_functions
from infra.devhost.accounts import Accounts
from infra.devhost.http.server import Dispatcher
from infra.devhost.invocations import Invoker
from infra.devhost.settings import HostSettings
from infra.devhost.worker import Function, TypedData, Worker
from shared import bootstrap
from shared.auth import passwords
from shared.storage import keys
from shared.storage.master_key.source import GivenKey
from shared.storage.memory.messages import MemoryMessages
from shared.storage.memory.objects import MemoryObjects
from shared.storage.memory.rows import MemoryRows
from shared.storage.ports import Put, Row
from shared.storage.rows import signing_keys
from shared.storage.rows.registries import RegistryRecord, RegistryRecords
from tests.support.clock import Clock
from tests.support.images import Blob, Image

ROOT = Path(__file__).parents[2]
MASTER_KEY = "a master key for tests, no secret at all"
MASTER_KEYS = GivenKey(MASTER_KEY)
NAME, PASSWORD = "registry", "an admin's password"
LOGIN_SERVER = "registry.test"
GENERATION = "9" * 32
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
BODY_LIMIT = 64 * 1024 * 1024

type Kept = Mapping[tuple[str, ...], object]


@functools.cache
def indexed() -> tuple[Worker, Sequence[Function]]:
    """Index function_app.py through the worker, once a process; not inside of a loop."""
    worker = Worker()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGISTRY_MASTER_KEY", MASTER_KEY)
        patch.setenv("AzureWebJobsStorage", "memory")
        return worker, asyncio.run(worker.start(ROOT))


@functools.cache
def registry_rows() -> tuple[Row, Row]:
    """Make the rows of the registry and its key, which takes a while; as `indexed`."""

    async def make() -> tuple[Row | None, Row]:
        rows, beside = MemoryRows(), MemoryObjects()
        await rows.prepare(keys.TABLES)
        await beside.prepare()
        record = RegistryRecord(NAME, GENERATION, ())
        await RegistryRecords(rows, beside, MASTER_KEYS).create(record, LONG_AGO)
        partition = keys.signing_keys(GENERATION)
        (key,) = await rows.scan(keys.REGISTRIES, partition, after="", before="~", limit=2)
        return await rows.get(keys.REGISTRIES, keys.REGISTRY_PARTITION, NAME), key

    row, key = asyncio.run(make())
    assert row
    return row, key


_load_key = functools.cache(load_pem_private_key)


@dataclass(frozen=True, slots=True)
class Memory:
    """The ports in memory, and what they hold."""

    clock: Clock = field(default_factory=Clock)
    rows: MemoryRows = field(init=False)
    objects: MemoryObjects = field(init=False)
    messages: MemoryMessages = field(init=False)
    beside: MemoryObjects = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", MemoryRows(self.clock))
        object.__setattr__(self, "objects", MemoryObjects(self.clock))
        object.__setattr__(self, "messages", MemoryMessages(self.clock))
        object.__setattr__(self, "beside", MemoryObjects(self.clock))

    async def prepare(self) -> Self:
        """Make tables, containers and queues."""
        await self.beside.prepare()
        await self.rows.prepare(keys.TABLES)
        await self.objects.prepare()
        await self.messages.prepare(keys.QUEUES)
        return self

    def ports(self) -> tuple[MemoryRows, MemoryObjects, MemoryMessages, MemoryObjects]:
        """Give them as bootstrap opens them."""
        return self.rows, self.objects, self.messages, self.beside

    async def keep_registry(self, name: str = NAME, **values: str | int) -> None:
        """Make a registry, with the key that all have here; `values` are its row's."""
        row, key = registry_rows()
        kept = {**row.values, **values}
        partition = keys.signing_keys(str(kept["generation"]))
        await self.rows.commit(keys.REGISTRIES, partition, [Put(key.key, key.values)])
        record = RegistryRecord(name, str(kept["generation"]), ())
        await RegistryRecords(self.rows, self.beside, MASTER_KEYS)._write(
            GENERATION, record, LONG_AGO
        )
        await self.rows.commit(keys.REGISTRIES, keys.REGISTRY_PARTITION, [Put(name, kept)])

    def kept(self) -> Kept:
        """Give the rows of repositories and the objects: what a refused request leaves as it was.

        Staged blocks are not among them: Azure drops them by itself.
        """
        rows: dict[tuple[str, ...], object] = {
            (table, partition, key): row.values
            for table in (keys.REPOSITORIES, keys.CONTENTS, keys.BLOBS)
            for partition, group in self.rows._tables[table].items()
            for key, row in group.items()
        }
        assert self.objects._container
        return {
            **rows,
            **{(name,): it.data for name, it in self.objects._container.objects.items()},
        }

    def keys(self, prefix: str) -> list[str]:
        """List the keys of the rows of contents that begin so."""
        groups = self.rows._tables[keys.CONTENTS].values()
        return sorted(key for group in groups for key in group if key.startswith(prefix))


@dataclass(frozen=True, slots=True)
class Site:
    """A registry of its own, and a client that knows its admin."""

    memory: Memory
    clock: Clock
    app: Dispatcher
    client: httpx.AsyncClient

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request as the admin, unless it says otherwise."""
        options.setdefault("auth", (NAME, PASSWORD))
        return await self.client.request(method, path, **options)

    async def bearer(self, *scopes: str) -> dict[str, str]:
        """Log in for these scopes; give the header that says so."""
        query = {"service": LOGIN_SERVER, "scope": list(scopes)}
        answer = await self.call("GET", "/oauth2/token", params=query)
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    async def start(self, repository: str, **query: str) -> str:
        """Begin an upload; give its location."""
        answer = await self.call("POST", f"/v2/{repository}/blobs/uploads/", params=query)
        assert answer.status_code == 202, answer.text
        return answer.headers["Location"]

    async def push_blob(self, repository: str, blob: Blob) -> None:
        """Push a blob in one request."""
        path = f"/v2/{repository}/blobs/uploads/"
        answer = await self.call("POST", path, params={"digest": blob.digest}, content=blob.content)
        assert answer.status_code == 201, answer.text

    async def push_manifest(self, repository: str, manifest: Blob, reference: str = "") -> None:
        """Push a manifest under a tag or its digest."""
        answer = await self.call(
            "PUT",
            f"/v2/{repository}/manifests/{reference or manifest.digest}",
            headers={"Content-Type": manifest.media_type},
            content=manifest.content,
        )
        assert answer.status_code == 201, answer.text

    async def push(self, repository: str, image: Image, tag: str = "") -> None:
        """Push an image with all it refers to."""
        for blob in image.blobs:
            await self.push_blob(repository, blob)
        await self.push_manifest(repository, image.manifest, tag)

    async def deliver(self) -> None:
        """Hand each message that is seen by now to the function that waits for it, to the end."""
        worker, functions = indexed()
        waiting = {f.trigger["queueName"]: f for f in functions if f.kind == "queueTrigger"}
        sent = self.memory.messages.sent
        while now := [message for message in sent if message[2] <= 1]:
            sent[:] = [message for message in sent if message[2] > 1]
            for queue, body, _ in now:
                function = waiting[queue]
                inputs = {function.trigger["name"]: TypedData(string=body)}
                await worker.invoke(function, inputs, {}, str(uuid.uuid4()))

    async def wake(self) -> None:
        """Run what is run every five minutes."""
        worker, functions = indexed()
        for function in functions:
            if function.kind == "timerTrigger":
                request = json.dumps({"Schedule": {"AdjustForDST": True}, "IsPastDue": False})
                inputs = {function.trigger["name"]: TypedData(json=request)}
                await worker.invoke(function, inputs, {}, str(uuid.uuid4()))


def dispatcher() -> Dispatcher:
    """Make the dev host's own web app of the functions that have a route."""
    worker, functions = indexed()
    settings = HostSettings.read(ROOT)
    routed = [function for function in functions if function.kind == "httpTrigger"]
    return Dispatcher(
        app_functions.router(routed, settings.route_prefix),
        Invoker(worker, Accounts(), settings),
        None,
        settings.custom_headers,
        BODY_LIMIT,
    )


@contextmanager
def patched(memory: Memory, clock: Clock, settings: Mapping[str, str]) -> Iterator[None]:
    """Let bootstrap open these ports, read this clock and these settings.

    The admin's password is hashed at the least cost, and the key pair read once a process.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("REGISTRY_")]:  # noqa: TID251
            patch.delenv(name)
        values = {"MASTER_KEY": MASTER_KEY, "ADMIN_PASSWORD": PASSWORD, "BLOB_REDIRECTS": "false"}
        for name, value in {**values, **settings}.items():
            patch.setenv(f"REGISTRY_{name}", value)
        patch.setenv("AzureWebJobsStorage", "memory")
        patch.setattr(bootstrap, "open_ports", lambda _: memory.ports())
        patch.setattr(bootstrap, "now", clock)
        patch.setattr(signing_keys, "load_pem_private_key", _load_key)
        patch.setitem(passwords._COST, "n", 2)
        bootstrap.registries.cache_clear()
        yield
    bootstrap.registries.cache_clear()


@asynccontextmanager
async def open_site(memory: Memory, clock: Clock, *, is_new: bool = True) -> AsyncIterator[Site]:
    """Start a registry over these ports, inside of `patched`; `is_new`: make it first."""
    if is_new:
        await memory.prepare()
        await memory.keep_registry()
    app = dispatcher()
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{LOGIN_SERVER}") as client:
        yield Site(memory, clock, app, client)
