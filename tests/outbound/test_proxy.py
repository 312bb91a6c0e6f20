"""Over a proxy: it looks names up and judges them; what is written as an address is judged here."""

import base64
from collections.abc import Iterable
from pathlib import Path

import pytest

from shared.model.outbound.egress import Allowed
from shared.model.outbound.posting import Forbidden, NoReply, Posting
from shared.outbound import posting as posting_module
from shared.outbound.posting import Outbound
from tests.support import receivers
from tests.support.authority import Authority
from tests.support.proxies import leads_to
from tests.support.receivers import Receiver


def _no_lookup(host: str) -> Iterable[str]:
    raise AssertionError(f"{host} was looked up")


def _outbound(proxy: str) -> Outbound:
    return Outbound(Allowed(), proxy, lookup=_no_lookup)


async def test_a_name_is_left_to_the_proxy() -> None:
    with Receiver() as receiver, Receiver(leads_to(receiver.port)) as proxy:
        outbound = _outbound(proxy.url())
        await outbound.check("http://hooks.example/")
        posting = Posting("http://hooks.example/a?b=c", {"X-Own": "1"}, b"{}", 5)
        assert (await outbound.post(posting)).status == 200

    (asked,) = proxy.received
    assert (asked.method, asked.target) == ("POST", "http://hooks.example:80/a?b=c")
    assert asked.headers["host"] == "hooks.example"
    assert asked.headers["x-own"] == "1"
    assert receiver.received[0].body == b"{}"


async def test_tls_goes_through_the_proxy_to_the_receiver() -> None:
    authority = Authority()
    with (
        Receiver(tls=authority.context("hooks.example")) as receiver,
        Receiver(leads_to(receiver.port)) as proxy,
    ):
        url = proxy.url().replace("http://", "http://us%40er:p%3Aw@")
        posting = Posting("https://hooks.example/a", {"X-Own": "1"}, b"{}", 5, authority.pem)
        assert (await _outbound(url).post(posting)).status == 200

    (asked,) = proxy.received
    assert (asked.method, asked.target) == ("CONNECT", "hooks.example:443")
    basic = base64.b64encode(b"us@er:p:w").decode()
    assert asked.headers["proxy-authorization"] == f"Basic {basic}"
    assert "x-own" not in asked.headers
    (got,) = receiver.received
    assert got.target == "/a"
    assert "proxy-authorization" not in got.headers


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_may_speak_tls(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is known by what the system trusts."""
    authority = Authority()
    (tmp_path / "trusted").write_text(authority.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted"))
    posting_module._context.cache_clear()
    tls = authority.context("hooks.example") if scheme == "https" else None
    own = authority.context("127.0.0.1")
    with Receiver(tls=tls) as receiver, Receiver(leads_to(receiver.port), tls=own) as proxy:
        posting = Posting(f"{scheme}://hooks.example/", {}, b"{}", 5, authority.pem)
        assert (await _outbound(proxy.url()).post(posting)).status == 200
    posting_module._context.cache_clear()
    assert receiver.received[0].body == b"{}"


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "https://[::ffff:a9fe:a9fe]/"])
async def test_a_closed_address_is_not_asked_for(url: str) -> None:
    with Receiver() as proxy:
        outbound = _outbound(proxy.url())
        with pytest.raises(Forbidden):
            await outbound.post(Posting(url, {}, b"{}", 5))
        with pytest.raises(Forbidden):
            await outbound.check(url)
    assert not proxy.connections


async def test_a_proxy_that_refuses_is_told() -> None:
    with Receiver(leads_to(1, connect_status=403)) as proxy:
        posting = Posting("https://hooks.example/hidden", {}, b"{}", 5)
        with pytest.raises(NoReply) as caught:
            await _outbound(proxy.url()).post(posting)
    assert str(caught.value) == "no way to https://hooks.example: the proxy answered 403"


async def test_a_proxy_that_is_not_there_is_told() -> None:
    posting = Posting("http://hooks.example/hidden", {}, b"{}", 5)
    why = "no connection to http://hooks.example: Connection refused, over the proxy"
    with pytest.raises(NoReply) as caught:
        await _outbound(receivers.nobody_listens()).post(posting)
    assert str(caught.value) == why


async def test_what_the_proxy_took_of_a_tunnel_is_no_body() -> None:
    posting = Posting("https://hooks.example/", {}, b"{}", 0.5)
    with Receiver(receivers.is_silent) as proxy, pytest.raises(NoReply) as caught:
        await _outbound(proxy.url()).post(posting)
    assert not caught.value.took_all
    assert str(caught.value).startswith("no connection to https://hooks.example within 0.5 s")


async def test_a_receiver_behind_the_proxy_that_is_silent_took_all() -> None:
    authority = Authority()
    posting = Posting("https://hooks.example/", {}, b"{}", 1, authority.pem)
    with (
        Receiver(receivers.is_silent, tls=authority.context("hooks.example")) as receiver,
        Receiver(leads_to(receiver.port)) as proxy,
        pytest.raises(NoReply, match="did not answer within 1 s, over the proxy") as caught,
    ):
        await _outbound(proxy.url()).post(posting)
    assert caught.value.took_all
