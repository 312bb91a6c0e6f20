"""Each port twice: over memory, and over Azure's adapter with the storage emulator."""

import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession
from aiohttp.typedefs import StrOrURL

from infra.devhost.storage import Azurite, StorageError
from shared.storage import keys
from shared.storage.azure.account.account import AzureAccount
from shared.storage.azure.blobs import AzureObjects
from shared.storage.azure.queues import AzureMessages
from shared.storage.azure.tables import AzureRows
from shared.storage.bodies import Bodies
from shared.storage.memory.messages import MemoryMessages
from shared.storage.memory.objects import MemoryObjects
from shared.storage.memory.rows import MemoryRows
from shared.storage.ports import Messages, Objects, Rows
from shared.storage.stores import Stores
from tests.support.clock import Clock
from tests.support.pauses import no_pause


@pytest.fixture(scope="session")
def emulator() -> Iterator[Azurite]:
    """One emulator for all tests of a process."""
    azurite = Azurite()
    try:
        azurite.start()
    except StorageError as error:
        pytest.skip(str(error))
    yield azurite
    azurite.stop()


@pytest.fixture
def connection_string(emulator: Azurite) -> str:
    return emulator.connection_string


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls over HTTP of this test so far."""
    made: list[str] = []
    send = ClientSession._request

    async def noted(
        session: ClientSession, method: str, address: StrOrURL, **options: Any
    ) -> ClientResponse:
        made.append(f"{method} {address}")
        return await send(session, method, address, **options)

    monkeypatch.setattr(ClientSession, "_request", noted)
    return made


@pytest.fixture
async def account(connection_string: str) -> AsyncIterator[AzureAccount]:
    account = AzureAccount(connection_string)
    yield account
    await account.close()


@pytest.fixture(params=["memory", pytest.param("azure", marks=pytest.mark.emulator)])
def place(request: pytest.FixtureRequest) -> str | None:
    """The connection string of the place to store in; None is memory."""
    if request.param == "memory":
        return None
    return str(request.getfixturevalue("connection_string"))


@pytest.fixture
def name() -> str:
    """A name no other test uses: of a table, a container or a queue, whichever."""
    return f"t{uuid.uuid4().hex}"


@pytest.fixture
async def empty_rows(place: str | None, clock: Clock) -> AsyncIterator[Rows]:
    """Rows without a table yet."""
    if place is None:
        yield MemoryRows(clock)
        return
    account = AzureAccount(place)
    yield AzureRows(account)
    await account.close()


@pytest.fixture
async def rows(empty_rows: Rows, name: str) -> Rows:
    """Rows with one table, `name`."""
    await empty_rows.prepare([name])
    return empty_rows


@pytest.fixture
async def empty_objects(place: str | None, name: str) -> AsyncIterator[Objects]:
    """Objects without their container yet."""
    if place is None:
        yield MemoryObjects()
        return
    account = AzureAccount(place)
    yield AzureObjects(account, container=name)
    await account.close()


@pytest.fixture
async def objects(empty_objects: Objects) -> Objects:
    await empty_objects.prepare()
    return empty_objects


@pytest.fixture
async def beside(place: str | None, name: str) -> AsyncIterator[Objects]:
    """Objects of another container, without it yet."""
    if place is None:
        yield MemoryObjects()
        return
    account = AzureAccount(place)
    yield AzureObjects(account, container=f"{name}x")
    await account.close()


@pytest.fixture
async def messages(place: str | None, clock: Clock) -> AsyncIterator[Messages]:
    """Messages without a queue yet."""
    if place is None:
        yield MemoryMessages(clock)
        return
    account = AzureAccount(place)
    yield AzureMessages(account)
    await account.close()


async def whole(stream: AsyncIterator[bytes]) -> bytes:
    """Read a stream to its end."""
    return b"".join([piece async for piece in stream])


@pytest.fixture
async def stores(
    empty_rows: Rows, empty_objects: Objects, messages: Messages, beside: Objects
) -> Stores:
    """The stores of a registry, prepared."""
    await empty_rows.prepare(keys.TABLES)
    await empty_objects.prepare()
    await beside.prepare()
    await messages.prepare(keys.QUEUES)
    return Stores.over(
        empty_rows,
        empty_objects,
        messages,
        uuid.uuid4().hex,
        beside=beside,
        bodies=Bodies(1_000_000),
        clock=lambda: datetime.now(UTC),
        new_id=lambda: uuid.uuid4().hex,
        pause=no_pause,
    )
