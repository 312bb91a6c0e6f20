"""A connection whose client does not keep us waiting is left alone, whatever the app does."""

import asyncio
from collections.abc import Callable

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from infra.host import pace
from infra.host.connections import IS_SPARE, WAITING, Connection
from infra.host.house import House

LONG = 1_000.0
GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n"

type Connect = Callable[[], Connection]


class Wire(asyncio.Transport):
    """A transport that leads nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.is_closed = b"", False
        self.left = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def get_write_buffer_size(self) -> int:
        return self.left

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
        self.is_told_each = False
        self.spare: list[bool] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.spare.append(scope["state"][IS_SPARE])
        await self.told.wait()
        if self.is_told_each:
            self.told.clear()
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
async def connect(app: App) -> Connect:
    """Make connections of one house: two may work at once, three be there."""
    config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None)
    config.load()
    houses = {0: House(2, 1)}

    def connected() -> Connection:
        made = Connection(houses, config, ServerState(), {})
        made.connection_made(Wire())
        return made

    return connected


@pytest.fixture
async def connection(connect: Connect) -> Connection:
    return connect()


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
    connection.data_received(GET)
    assert not is_cut_off(connection)
    connection.data_received(b"GET /the/next HTTP")
    assert not is_cut_off(connection)
    app.told.set()
    await asyncio.sleep(0.01)
    assert is_cut_off(connection)


async def test_an_answered_connection_is_idle(connection: Connection, app: App) -> None:
    app.told.set()
    connection.data_received(GET)
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
    connection.data_received(GET * (1 + WAITING))
    assert not connection.transport.is_closing()
    connection.data_received(GET * 10_000)
    assert connection.transport.is_closing()
    assert len(connection.pipeline) == WAITING


async def test_what_is_wrong_with_the_next_request_is_not_told_inside_of_an_answer(
    connection: Connection,
) -> None:
    connection.data_received(GET)
    connection.data_received(b"no request at all\r\n\r\n")
    assert connection.transport.is_closing()
    assert vars(connection.transport)["written"] == b""


async def test_a_slow_body_behind_another_request_is_not_told_inside_of_its_answer(
    connection: Connection,
) -> None:
    connection.data_received(GET + HEAD + b"\r\n" + bytes(1_000))
    connection.flow.resume_reading()  # as an app does that waits for its client to go
    assert is_cut_off(connection)
    assert vars(connection.transport)["written"] == b""


async def test_what_is_wrong_with_a_body_is_told(connection: Connection) -> None:
    head = b"PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    connection.data_received(head + b"no size\r\n")
    assert connection.transport.is_closing()
    assert vars(connection.transport)["written"].startswith(b"HTTP/1.1 400 ")


def are_closed(*connections: Connection) -> list[bool]:
    return [each.transport.is_closing() for each in connections]


async def test_a_full_house_closes_what_has_been_idle_longest(connect: Connect, app: App) -> None:
    app.told.set()
    first, second, third = connect(), connect(), connect()
    first.data_received(GET)
    await asyncio.sleep(0.01)
    connect()
    assert are_closed(first, second, third) == [False, True, False]
    third.data_received(GET)
    await asyncio.sleep(0.01)
    connect()
    assert are_closed(first, third) == [True, False]


async def test_a_full_house_closes_nothing_that_works(connect: Connect, app: App) -> None:
    there = [connect(), connect(), connect()]
    for each in there:
        each.data_received(GET)
    assert are_closed(connect(), *there) == [True, False, False, False]
    await asyncio.sleep(0.01)
    app.told.set()
    await asyncio.sleep(0.01)
    assert are_closed(connect(), *there) == [False, True, False, False]


async def test_of_those_that_work_each_that_is_one_too_many_is_told(
    connect: Connect, app: App
) -> None:
    for each in (connect(), connect(), connect()):
        each.data_received(GET)
    await asyncio.sleep(0.01)
    assert app.spare == [False, False, True]


async def test_who_waits_with_more_requests_works_until_the_last_is_answered(
    connect: Connect, app: App
) -> None:
    app.is_told_each = True
    busy, other = connect(), connect()
    busy.data_received(GET + GET)
    app.told.set()
    await asyncio.sleep(0.01)
    for _ in range(4):
        connect()
    assert are_closed(busy, other) == [False, True]
    app.told.set()
    await asyncio.sleep(0.01)
    for _ in range(3):
        connect()
    assert are_closed(busy) == [True]


async def test_an_answer_that_is_still_to_be_taken_is_not_cut_off(
    connect: Connect, app: App
) -> None:
    app.told.set()
    slow, other, _ = connect(), connect(), connect()
    slow.data_received(GET)
    await asyncio.sleep(0.01)
    vars(slow.transport)["left"] = 1_000
    other.data_received(GET)
    await asyncio.sleep(0.01)
    connect()
    connect()
    assert are_closed(slow, other) == [False, True]


async def test_who_was_answered_before_the_body_came_rests(connect: Connect, app: App) -> None:
    app.told.set()
    slow, _, _ = connect(), connect(), connect()
    slow.data_received(HEAD + b"\r\n" + bytes(1_000))
    await asyncio.sleep(0.01)
    for _ in range(3):
        connect()
    assert are_closed(slow) == [True]


async def test_who_leaves_frees_the_place(connect: Connect) -> None:
    there = [connect(), connect(), connect()]
    for each in there:
        each.data_received(GET)
    there[0].connection_lost(None)
    assert are_closed(connect(), *there[1:]) == [False] * 3
