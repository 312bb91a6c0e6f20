"""A connection whose client does not keep us waiting is left alone, whatever the app does."""

import asyncio

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from infra.host import pace
from infra.host.connections import WAITING, Connection

LONG = 1_000.0
HEAD = b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n"


class Wire(asyncio.Transport):
    """A transport that leads nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.is_closed = b"", False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class App:
    """Answers when it is told to, and reads no body before."""

    def __init__(self) -> None:
        self.told = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.told.wait()
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
async def connection(app: App) -> Connection:
    config = uvicorn.Config(app, http=Connection, ws="none", lifespan="off", log_config=None)
    config.load()
    made = Connection(config, ServerState(), {})
    made.connection_made(Wire())
    return made


@pytest.fixture(autouse=True)
def times(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head has no time at all, so that a look finds each that is not whole."""
    monkeypatch.setattr(pace, "HEAD_SECONDS", -1.0)
    monkeypatch.setattr(pace, "IDLE_SECONDS", -1.0)


def is_cut_off(connection: Connection) -> bool:
    connection.tick(LONG)
    return connection.transport.is_closing()


async def test_a_client_that_sends_nothing_is_cut_off(connection: Connection) -> None:
    assert is_cut_off(connection)
    assert vars(connection.transport)["written"] == b""


async def test_half_a_head_is_cut_off_and_told(connection: Connection) -> None:
    connection.data_received(HEAD)
    assert is_cut_off(connection)
    assert vars(connection.transport)["written"].startswith(b"HTTP/1.1 408 ")


async def test_a_body_that_stands_still_is_cut_off_and_told(connection: Connection) -> None:
    connection.data_received(HEAD + b"\r\n" + bytes(1_000))
    assert is_cut_off(connection)
    assert vars(connection.transport)["written"].startswith(b"HTTP/1.1 408 ")


async def test_a_client_is_not_cut_off_while_the_app_leaves_its_body_lying(
    connection: Connection,
) -> None:
    connection.data_received(HEAD + b"\r\n" + bytes(100_000))
    assert not is_cut_off(connection)
    assert not is_cut_off(connection)


async def test_a_client_that_asks_before_it_sends_is_not_cut_off_before_it_may(
    connection: Connection,
) -> None:
    connection.data_received(HEAD + b"Expect: 100-continue\r\n\r\n")
    assert not is_cut_off(connection)
    assert not is_cut_off(connection)


async def test_a_client_that_waits_for_its_answer_is_not_cut_off(
    connection: Connection, app: App
) -> None:
    connection.data_received(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert not is_cut_off(connection)
    connection.data_received(b"GET /the/next HTTP")
    assert not is_cut_off(connection)
    app.told.set()
    await asyncio.sleep(0.01)
    assert is_cut_off(connection)


async def test_an_answered_connection_is_idle(connection: Connection, app: App) -> None:
    app.told.set()
    connection.data_received(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(0.01)
    assert b"200 OK" in vars(connection.transport)["written"]
    assert is_cut_off(connection)
    assert b"408" not in vars(connection.transport)["written"]


async def test_after_a_wish_for_another_protocol_the_connection_ends(
    connection: Connection, app: App
) -> None:
    app.told.set()
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n"
    connection.data_received(b"GET /x HTTP/1.1\r\nHost: a\r\n" + upgrade)
    await asyncio.sleep(0.01)
    written = vars(connection.transport)["written"]
    assert b"200 OK" in written
    assert b"connection: close" in written
    assert connection.transport.is_closing()


async def test_a_head_without_end_is_cut_off_before_much_of_it_is_held(
    connection: Connection,
) -> None:
    connection.data_received(b"GET /")
    connection.data_received(b"a" * (pace.HEAD_BYTES + 1))
    assert connection.transport.is_closing()
    assert vars(connection.transport)["written"].startswith(b"HTTP/1.1 408 ")


async def test_few_requests_may_wait_for_the_answer_to_one(connection: Connection) -> None:
    connection.data_received(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n" * (1 + WAITING))
    assert not connection.transport.is_closing()
    connection.data_received(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n" * 10_000)
    assert connection.transport.is_closing()
    assert len(connection.pipeline) == WAITING


async def test_what_is_wrong_with_the_next_request_is_not_told_inside_of_an_answer(
    connection: Connection,
) -> None:
    connection.data_received(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
    connection.data_received(b"no request at all\r\n\r\n")
    assert connection.transport.is_closing()
    assert vars(connection.transport)["written"] == b""


async def test_what_is_wrong_with_a_body_is_told(connection: Connection) -> None:
    head = b"PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    connection.data_received(head + b"no size\r\n")
    assert connection.transport.is_closing()
    assert vars(connection.transport)["written"].startswith(b"HTTP/1.1 400 ")
