"""What an answer can make the smoke test do: a host need not be ours, or kind."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from infra.azure.smoke import looking
from infra.azure.smoke.asking import wire
from infra.azure.smoke.asking.wire import Server, Wire
from infra.azure.smoke.checks.leaving import clean
from infra.azure.smoke.checks.uploading import begin, next_location, send_chunked
from infra.azure.smoke.credentials import Login
from infra.azure.smoke.findings import Differs
from infra.azure.smoke.options import Options
from infra.azure.smoke.site import Site
from tests.smoke.serving import Give, answer, serving

TOKEN = b'{"access_token": "secret"}'


@asynccontextmanager
async def site_at(port: int) -> AsyncIterator[Site]:
    async with Wire(Server(f"127.0.0.1:{port}", is_plain=True)) as opened:
        yield Site(opened, Login("somebody", "password"), Options())


def sends_uploads_to(location: str) -> Give:
    return lambda head: (
        answer("200 OK", body=TOKEN)
        if b"/oauth2/token" in head
        else answer("202 Accepted", f"Location: {location}")
    )


async def test_no_token_is_sent_where_an_upload_is_sent_on_to_another_host() -> None:
    async with serving(lambda _: answer("202 Accepted")) as (elsewhere, heard):
        foreign = f"http://127.0.0.1:{elsewhere}/v2/smoke/blobs/uploads/1"
        async with serving(sends_uploads_to(foreign)) as (port, _), site_at(port) as site:
            location = await begin(site)
            with pytest.raises(Differs, match=f"http://127.0.0.1:{elsewhere}"):
                await send_chunked(site, location, _nothing())
    assert heard == []


async def test_an_upload_goes_on_at_the_registry() -> None:
    give = sends_uploads_to("/v2/smoke/blobs/uploads/1")
    async with serving(give) as (port, heads), site_at(port) as site:
        next_location(site, await send_chunked(site, await begin(site), _nothing()))
    assert heads[-1].startswith(b"PATCH /v2/smoke/blobs/uploads/1 ")


async def _nothing() -> AsyncIterator[bytes]:
    yield b""


async def test_what_is_packed_twice_does_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wire, "MOST", 1 << 20)
    bomb = gzip.compress(gzip.compress(bytes(64 << 20)))
    packed = answer("200 OK", "Content-Encoding: gzip, gzip", body=bomb)
    async with serving(lambda _: packed) as (port, heads), site_at(port) as site:
        assert (await site.wire.ask("GET", "/")).body == bomb
    assert b"accept-encoding: identity" in heads[0].lower()


async def test_what_is_left_is_told_without_what_a_terminal_obeys(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def clean(_: Site) -> list[str]:
        return ["DELETE: 500 \x1b]0;owned\x07"]

    monkeypatch.setattr(looking, "clean", clean)
    monkeypatch.setattr(looking, "ROOMS", ())
    async with serving(lambda _: answer("401 Unauthorized")) as (port, _):
        at = Server(f"127.0.0.1:{port}", is_plain=True)
        await looking.look(at, Login("somebody", "password"), Options(), None, "")
    assert capsys.readouterr().err.endswith("DELETE: 500 \\x1b]0;owned\\x07\n")


async def test_an_answer_that_never_ends_is_told() -> None:
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1"

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(endless)
        await asyncio.sleep(5)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    at = Server(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", is_plain=True)
    async with server, Wire(at, patience=0.2) as opened:
        with pytest.raises(httpx.ReadTimeout):
            await opened.ask("GET", "/")


async def test_an_address_that_is_none_leaves_the_report() -> None:
    async with serving(lambda _: answer("200 OK", body=TOKEN)) as (port, _), site_at(port) as site:
        site.made.begun("http://[")
        assert len(await clean(site)) == 1


async def test_a_token_of_another_name_is_not_shown() -> None:
    told = b'{"token": "eyJhbGciOi", "refresh_token": "eyJ0eXAiOi"}'
    async with serving(lambda _: answer("200 OK", body=told)) as (port, _), site_at(port) as site:
        with pytest.raises(Differs, match="access_token") as caught:
            await site.token("registry:catalog:*")
    assert "eyJ" not in str(caught.value)


async def test_a_login_that_an_answer_repeats_is_not_shown() -> None:
    def give(head: bytes) -> bytes:
        return answer("403 Forbidden", body=head[head.index(b"Authorization") :])

    async with serving(give) as (port, _), site_at(port) as site:
        basic = {"X": "1", "Authorization": site.login.basic}
        with pytest.raises(Differs, match="403 in place of 200") as caught:
            (await site.wire.ask("GET", "/v2/", basic)).expect(200)
    assert site.login.basic not in str(caught.value)
    assert "Basic ***" in str(caught.value)
