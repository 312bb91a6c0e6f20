"""A store that fails: what is tried again, and what is said in the end."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import formatdate

import pytest
from aiohttp import ClientTimeout, web

from infra.devhost.storage import ACCOUNT, KEY
from shared.storage import ages
from shared.storage.azure import answers, downloads
from shared.storage.azure.account import account as azure_account
from shared.storage.azure.account import tries
from shared.storage.azure.account.account import AzureAccount
from shared.storage.azure.account.tries import RETRIES
from shared.storage.azure.blobs import AzureObjects
from shared.storage.azure.queues import AzureMessages
from shared.storage.azure.tables import AzureRows
from shared.storage.ports import (
    Change,
    Conflict,
    Delete,
    Insert,
    NotFound,
    NotPrepared,
    Put,
    Received,
    Row,
    StorageError,
    Unavailable,
    Update,
    Upsert,
)
from tests.contract.conftest import whole

TRIES = 1 + RETRIES

JSON = {"Content-Type": "application/json"}

LEFT_FOR_ANOTHER: dict[str, Callable[[AzureAccount], Awaitable[object]]] = {
    "scan": lambda it: AzureRows(it).scan("t", "p", after="a", before="b", limit=1),
    "insert": lambda it: AzureRows(it).commit("t", "p", [Insert("k", {})]),
    "update": lambda it: AzureRows(it).commit("t", "p", [Update("k", {})]),
    "upsert": lambda it: AzureRows(it).commit("t", "p", [Upsert("k", {})]),
    "put a row": lambda it: AzureRows(it).commit("t", "p", [Put("k", {})]),
    "delete a row": lambda it: AzureRows(it).commit("t", "p", [Delete("k")]),
    "transaction": lambda it: AzureRows(it).commit("t", "p", [Insert("k", {}), Delete("l")]),
    "facts": lambda it: AzureObjects(it).facts("x"),
    "put": lambda it: AzureObjects(it).put("x", b"1", {}),
    "delete": lambda it: AzureObjects(it).delete("x", '"1"'),
    "send": lambda it: AzureMessages(it).send("q", "text"),
}
"""Calls that have no content to speak of: each is made again where nothing is heard of it."""


def place(port: int) -> str:
    services = ("Blob", "Queue", "Table")
    endpoints = (f"{each}Endpoint=http://127.0.0.1:{port}/{ACCOUNT}" for each in services)
    return f"AccountName={ACCOUNT};AccountKey={KEY};{';'.join(endpoints)}"


class TestNobodyListens:
    @pytest.fixture
    async def account(self) -> AsyncIterator[AzureAccount]:
        with socket.socket() as unheard:
            unheard.bind(("127.0.0.1", 0))
            account = AzureAccount(place(unheard.getsockname()[1]))
            yield account
            await account.close()

    async def test_every_call_says_so_within_seconds(self, account: AzureAccount) -> None:
        rows, objects, messages = AzureRows(account), AzureObjects(account), AzureMessages(account)
        calls: list[Awaitable[object]] = [
            rows.prepare(["t"]),
            rows.get("t", "p", "k"),
            rows.scan("t", "p", after="a", before="b", limit=1),
            rows.commit("t", "p", [Insert("k", {})]),
            rows.commit("t", "p", [Insert("k", {}), Delete("l")]),
            objects.prepare(),
            objects.stage("x", "a", b"1"),
            objects.staged("x"),
            objects.commit("x", ["a"], {}),
            objects.put("x", b"1", {}),
            objects.facts("x"),
            anext(objects.read("x")),
            objects.delete("x", '"1"'),
            messages.prepare(["q"]),
            messages.send("q", "text"),
            messages.receive("q", 1, 60),
            messages.delete("q", Received("1", "", "r")),
            messages.peek("q", 1),
        ]
        began = time.monotonic()

        answers = await asyncio.gather(*calls, return_exceptions=True)

        assert {type(answer) for answer in answers} == {Unavailable}
        assert time.monotonic() - began < 5


@dataclass(frozen=True)
class Answer:
    """What the store is to say, and where in its body it breaks off, if it does."""

    status: int
    code: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    breaks_at: int | None = None

    async def send(self, request: web.Request) -> web.StreamResponse:
        headers = {"x-ms-error-code": self.code, **self.headers} if self.code else self.headers
        if self.breaks_at is None:
            return web.Response(status=self.status, headers=headers, body=self.body)
        answer = web.StreamResponse(status=self.status, headers=headers)
        answer.content_length = len(self.body)
        await answer.prepare(request)
        await answer.write(self.body[: self.breaks_at])
        assert request.transport is not None
        request.transport.close()
        return answer


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    for room in (azure_account, tries):
        monkeypatch.setattr(room, "FIRST_PAUSE", 0.01)


class Store:
    """A store that follows a script: an answer for each call, the last one for ever."""

    def __init__(self) -> None:
        self.script: list[Answer] = []
        self.calls: list[tuple[str, bytes, str]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.calls.append((request.method, body, request.headers.get("Range", "")))
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return await answer.send(request)


class TestAnswers:
    @pytest.fixture
    async def store(self) -> Store:
        return Store()

    @pytest.fixture
    async def account(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[AzureAccount]:
        hurry(monkeypatch)
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", store.answer)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        account = AzureAccount(place(runner.addresses[0][1]))
        yield account
        await account.close()
        await runner.cleanup()

    @pytest.fixture
    def rows(self, account: AzureAccount) -> AzureRows:
        return AzureRows(account)

    @pytest.fixture
    def objects(self, account: AzureAccount) -> AzureObjects:
        return AzureObjects(account)

    @pytest.mark.parametrize("status", [500, 503])
    async def test_a_busy_store_is_asked_again(
        self, store: Store, objects: AzureObjects, status: int
    ) -> None:
        store.script = [Answer(status, "ServerBusy"), Answer(201)]

        await objects.stage("x", "a", b"piece")

        assert [body for _, body, _ in store.calls] == [b"piece", b"piece"]

    async def test_a_busy_store_is_unavailable_in_the_end(
        self, store: Store, objects: AzureObjects
    ) -> None:
        store.script = [Answer(503, "ServerBusy", {"Retry-After": "7"})]

        with pytest.raises(Unavailable) as raised:
            await objects.facts("x")

        assert raised.value.seconds == 7
        assert len(store.calls) == TRIES

    async def test_a_busy_table_is_asked_again(self, store: Store, rows: AzureRows) -> None:
        store.script = [Answer(503), Answer(500), Answer(204)]

        await rows.commit("t", "p", [Insert("k", {})])

        assert len(store.calls) == 3

    async def test_a_busy_table_is_unavailable_in_the_end(
        self, store: Store, rows: AzureRows
    ) -> None:
        store.script = [Answer(503)]

        one: list[Change] = [Insert("k", {})]
        for changes in (one, [*one, Delete("l")]):
            store.calls.clear()
            with pytest.raises(Unavailable) as raised:
                await rows.commit("t", "p", changes)
            assert raised.value.seconds == 1
            assert len(store.calls) == TRIES

    @pytest.mark.parametrize(
        "first",
        [
            Answer(503),
            Answer(403),
            Answer(200, body=b"<html>"),
            Answer(200, body=b"[]"),
            Answer(404, body=b"{}"),
            Answer(302, headers={"Location": "http://127.0.0.1:1/"}),
            Answer(200, body=b'{"n": 1}', breaks_at=3),
        ],
        ids=str,
    )
    async def test_a_row_is_asked_for_again_where_the_answer_is_not_clear(
        self, store: Store, rows: AzureRows, first: Answer
    ) -> None:
        body = b'{"RowKey": "k", "Timestamp": "2024-02-29T12:00:00Z", "n": 1}'
        store.script = [first, Answer(503), Answer(200, headers=JSON, body=body)]

        row = await rows.get("t", "p", "k")

        assert row is not None
        assert row.values == {"n": 1}
        assert len(store.calls) == 3

    async def test_a_busy_table_does_not_keep_a_reader_for_ever(
        self, store: Store, rows: AzureRows
    ) -> None:
        store.script = [Answer(503, headers={"Retry-After": "0"})]

        with pytest.raises(Unavailable):
            await rows.get("t", "p", "k")

        assert len(store.calls) == 1 + TRIES

    async def test_a_retry_may_meet_its_own_first_try(self, store: Store, rows: AzureRows) -> None:
        error = b'{"odata.error": {"code": "EntityAlreadyExists"}}'
        store.script = [Answer(500), Answer(409, headers=JSON, body=error)]

        with pytest.raises(Conflict):
            await rows.commit("t", "p", [Insert("k", {})])

    @pytest.mark.parametrize(
        ("status", "code", "error"),
        [
            (400, "InvalidInput", ValueError),
            (403, "AuthorizationPermissionMismatch", Unavailable),
            (404, "ContainerNotFound", NotPrepared),
            (404, "BlobNotFound", NotFound),
            (409, "ContainerBeingDeleted", Unavailable),
            (409, "BlobAlreadyExists", Conflict),
            (412, "ConditionNotMet", Conflict),
            (400, "", ValueError),
            (409, "", Unavailable),
        ],
    )
    @pytest.mark.parametrize("call", ["put", "read"])
    async def test_an_answer_is_said_in_the_ports_words(
        self,
        store: Store,
        objects: AzureObjects,
        status: int,
        code: str,
        error: type[Exception],
        call: str,
    ) -> None:
        store.script = [Answer(status, code)]
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "put": lambda: objects.put("x", b"", {}),
            "read": lambda: whole(objects.read("x")),
        }

        with pytest.raises(error) as raised:
            await calls[call]()

        assert type(raised.value) is error

    @pytest.mark.parametrize(
        ("status", "code", "error"),
        [
            (404, "TableNotFound", NotPrepared),
            (404, "ResourceNotFound", NotFound),
            (412, "UpdateConditionNotSatisfied", Conflict),
            (409, "TableBeingDeleted", Unavailable),
            (400, "PropertyValueTooLarge", ValueError),
        ],
    )
    async def test_a_tables_answer_is_read_from_its_body(
        self, store: Store, rows: AzureRows, status: int, code: str, error: type[Exception]
    ) -> None:
        body = f'{{"odata.error":{{"code":"{code}","message":{{"value":"?"}}}}}}'.encode()
        store.script = [Answer(status, headers=JSON, body=body)]

        for change in (Insert("k", {}), Update("k", {})):
            with pytest.raises(error) as raised:
                await rows.commit("t", "p", [change])
            assert type(raised.value) is error

    async def test_an_etag_is_known_where_azure_sends_none(
        self, store: Store, rows: AzureRows, calls: list[str]
    ) -> None:
        body = b'{"RowKey": "k", "Timestamp": "2024-02-29T12:00:00.1234567Z", "n": 1, "none": null}'
        store.script = [Answer(200, headers=JSON, body=body)]

        row = await rows.get("t", "p", "k", only=["n", "none"])

        assert row == Row("k", {"n": 1}, "W/\"datetime'2024-02-29T12%3A00%3A00.1234567Z'\"")
        assert "Timestamp" in calls[0]

    async def test_a_broken_stream_goes_on_where_it_broke(
        self, store: Store, objects: AzureObjects
    ) -> None:
        store.script = [
            Answer(206, body=b"3456789", breaks_at=3),
            Answer(503),
            Answer(206, body=b"6789", breaks_at=0),
            Answer(206, body=b"6789"),
        ]

        assert await whole(objects.read("x", 3, 7)) == b"3456789"
        ranges = [wanted for _, _, wanted in store.calls]
        assert ranges == ["bytes=3-9", "bytes=6-9", "bytes=6-9", "bytes=6-9"]

    async def test_a_stream_that_stays_broken_is_unavailable(
        self, store: Store, objects: AzureObjects
    ) -> None:
        store.script = [Answer(200, body=b"0123", breaks_at=2), Answer(503)]
        stream = objects.read("x")

        assert await anext(stream) == b"01"
        with pytest.raises(Unavailable):
            await anext(stream)
        assert len(store.calls) == 1 + RETRIES

    async def test_a_refusal_is_no_object(self, store: Store, objects: AzureObjects) -> None:
        store.script = [Answer(404, "BlobNotFound")]

        with pytest.raises(StorageError):
            await anext(objects.read("x"))
        assert len(store.calls) == 1


class TestNoAnswer:
    """Whatever others rely on ends in time, its tries with it."""

    @pytest.fixture
    async def account(self) -> AsyncIterator[AzureAccount]:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        account = AzureAccount(place(server.sockets[0].getsockname()[1]))
        yield account
        await account.close()
        server.close()

    async def test_a_call_ends_while_somebody_still_waits_for_it(
        self, account: AzureAccount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(answers, "PATIENCE", timedelta(seconds=0.2))
        monkeypatch.setattr(downloads, "_TIMES", ClientTimeout(sock_read=0.1))
        monkeypatch.setattr(downloads, "RETRIES", 1_000)
        rows, objects, messages = AzureRows(account), AzureObjects(account), AzureMessages(account)
        calls: list[Awaitable[object]] = [
            rows.prepare(["t"]),
            rows.get("t", "p", "k"),
            rows.scan("t", "p", after="a", before="b", limit=1),
            rows.page("t", first="a", before="b", position="", limit=1),
            rows.commit("t", "p", [Insert("k", {})]),
            rows.commit("t", "p", [Insert("k", {}), Delete("l")]),
            objects.prepare(),
            objects.staged("x"),
            objects.put("x", b"1", {}),
            objects.replace("x", b"1", '"1"'),
            objects.facts("x"),
            objects.page("x", "", 1),
            anext(objects.read("x")),
            objects.delete("x", '"1"'),
            messages.prepare(["q"]),
            messages.send("q", "text"),
            messages.receive("q", 1, 60),
            messages.delete("q", Received("1", "", "r")),
            messages.peek("q", 1),
        ]

        async with asyncio.timeout(5):
            told = await asyncio.gather(*calls, return_exceptions=True)

        assert {type(each) for each in told} == {Unavailable}

    async def test_a_call_with_content_is_waited_for_longer(
        self, account: AzureAccount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(answers, "PATIENCE", timedelta(seconds=0.1))
        monkeypatch.setattr(ages, "L", timedelta(seconds=0.5))
        objects = AzureObjects(account)
        for call in (objects.stage("x", "a", b"1"), objects.commit("x", ["a"], {})):
            with pytest.raises(Unavailable, match=r"within 0\.35 s"):
                await call

    @pytest.mark.parametrize("call", LEFT_FOR_ANOTHER.values(), ids=LEFT_FOR_ANOTHER)
    async def test_a_connection_that_died_is_left_for_another(
        self, monkeypatch: pytest.MonkeyPatch, call: Callable[[AzureAccount], Awaitable[object]]
    ) -> None:
        monkeypatch.setattr(azure_account, "READ_SECONDS", 0.2)
        hurry(monkeypatch)
        connections: list[asyncio.StreamWriter] = []
        lines = (
            "HTTP/1.1 404 No",
            f"Date: {formatdate(usegmt=True)}",
            "x-ms-error-code: TableNotFound",
        )
        missing = "\r\n".join([*lines, "", ""])

        async def second(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.append(writer)
            await reader.readuntil(b"\r\n\r\n")
            if len(connections) > 1:
                writer.write(missing.encode())
                writer.close()

        server = await asyncio.start_server(second, "127.0.0.1", 0)
        account = AzureAccount(place(server.sockets[0].getsockname()[1]))
        async with asyncio.timeout(5):
            with pytest.raises(NotPrepared):
                await call(account)
        assert len(connections) == 2
        await account.close()
        connections[0].close()
        server.close()

    async def test_a_call_ends_before_it_is_too_late(
        self, account: AzureAccount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ages, "L", timedelta(seconds=0.5))
        rows, objects, messages = AzureRows(account), AzureObjects(account), AzureMessages(account)
        calls: list[Awaitable[object]] = [
            rows.get("t", "p", "k"),
            rows.scan("t", "p", after="a", before="b", limit=1),
            rows.commit("t", "p", [Insert("k", {})]),
            rows.commit("t", "p", [Insert("k", {}), Delete("l")]),
            objects.commit("x", ["a"], {}),
            objects.put("x", b"1", {}),
            objects.facts("x"),
            objects.delete("x", '"1"'),
            messages.send("q", "text"),
            messages.receive("q", 1, 60),
            messages.delete("q", Received("1", "", "r")),
            messages.peek("q", 1),
        ]

        for call in calls:
            async with asyncio.timeout(5):
                with pytest.raises(Unavailable, match=r"within 0\.35 s"):
                    await call
