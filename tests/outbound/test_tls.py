"""A receiver is known by its certificate, under the name that was asked for."""

import os
import re
import socket
import ssl

import pytest

from shared.model.outbound.egress import Allowed
from shared.model.outbound.posting import NoReply, Posting
from shared.outbound.posting import Outbound
from tests.support import receivers
from tests.support.authority import Authority
from tests.support.receivers import Connection, Manner, Receiver, head

HOST = "hooks.internal"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def _outbound() -> Outbound:
    return Outbound(Allowed.read(f"{HOST}, 127.0.0.1"), lookup=lambda _: ["127.0.0.1"])


def _posting(url: str, ca: str, seconds: float = 5) -> Posting:
    return Posting(url, {}, b"{}", seconds, ca)


@pytest.mark.parametrize("host", [HOST, f"{HOST}.", "127.0.0.1"])
async def test_an_authority_of_ones_own_is_trusted(authority: Authority, host: str) -> None:
    with Receiver(tls=authority.context(host.strip("."))) as receiver:
        reply = await _outbound().post(_posting(receiver.url("/", host), authority.pem))
    assert reply.status == 200
    assert receiver.received[0].headers["host"] == f"{host.strip('.')}:{receiver.port}"


async def test_an_authoritys_file_may_hold_remarks(authority: Authority) -> None:
    ca = f"# Autorit\xe9 de certification\n{authority.pem}\n# \N{CJK UNIFIED IDEOGRAPH-672B}\n"
    with Receiver(tls=authority.context(HOST)) as receiver:
        assert (await _outbound().post(_posting(receiver.url("/", HOST), ca))).status == 200


async def test_it_vouches_for_no_other_name(authority: Authority) -> None:
    why = "has no certificate that is trusted: Hostname mismatch"
    with (
        Receiver(tls=authority.context("other.internal")) as receiver,
        pytest.raises(NoReply, match=why),
    ):
        await _outbound().post(_posting(receiver.url("/", HOST), authority.pem))
    assert not receiver.received


@pytest.mark.parametrize("which", ["the usual ones", "another"])
async def test_only_what_was_given_is_trusted(authority: Authority, which: str) -> None:
    ca = "" if which == "the usual ones" else Authority("another").pem
    with (
        Receiver(tls=authority.context(HOST)) as receiver,
        pytest.raises(NoReply, match="no certificate that is trusted: "),
    ):
        await _outbound().post(_posting(receiver.url("/hidden", HOST), ca))
    assert not receiver.received


async def test_a_certificate_that_is_over_is_refused(authority: Authority) -> None:
    with (
        Receiver(tls=authority.context(HOST, days=-1)) as receiver,
        pytest.raises(NoReply, match="trusted: certificate has expired"),
    ):
        await _outbound().post(_posting(receiver.url("/", HOST), authority.pem))


async def test_what_speaks_no_tls_is_told(authority: Authority) -> None:
    with Receiver(lambda connection: connection.send(b"hidden" * 10)) as receiver:
        url = receiver.url("/", HOST).replace("http:", "https:")
        with pytest.raises(NoReply, match=re.escape(f"no TLS with https://{HOST}")) as caught:
            await _outbound().post(_posting(url, authority.pem, 2))
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "ca", ["hidden", "-----BEGIN CERTIFICATE-----\nAA==\n", "hidden \xe4", "\xe4"]
)
async def test_certificates_that_cannot_be_read_are_told(ca: str) -> None:
    with pytest.raises(NoReply, match=r"that https://hooks\.internal is to be known") as caught:
        await _outbound().post(_posting(f"https://{HOST}/", ca))
    assert "hidden" not in str(caught.value)


async def test_over_tls_what_a_silent_receiver_took_is_told(authority: Authority) -> None:
    with (
        Receiver(receivers.is_silent, tls=authority.context(HOST)) as receiver,
        pytest.raises(NoReply, match="did not answer within 1 s") as caught,
    ):
        await _outbound().post(_posting(receiver.url("/", HOST), authority.pem, 1))
    assert caught.value.took_all


@pytest.mark.parametrize(
    "manner",
    [receivers.floods_interim_answers(), receivers.floods_headers(), receivers.floods_a_header()],
)
async def test_floods_over_tls_end(authority: Authority, manner: receivers.Manner) -> None:
    with (
        Receiver(manner, tls=authority.context(HOST)) as receiver,
        pytest.raises(NoReply, match="sent 64 KiB"),
    ):
        await _outbound().post(_posting(receiver.url("/", HOST), authority.pem))
    assert receiver.flooded < 16 << 20


HELLO_REQUESTS = b"\x16\x03\x03\x40\x00" + bytes(0x4000)
"""A record of what a client skips while it waits for the handshake to go on."""


def floods_the_handshake(connection: Connection) -> None:
    """Begin no handshake, and ask for one again and again."""
    connection.socket.recv(16 << 10)
    for _ in range(4_000):
        connection.send(HELLO_REQUESTS)
        connection.receiver.flooded += len(HELLO_REQUESTS)


async def test_a_handshake_without_end_ends(authority: Authority) -> None:
    with Receiver(floods_the_handshake) as receiver:
        url = receiver.url("/", HOST).replace("http:", "https:")
        with pytest.raises(NoReply, match="sent 64 KiB"):
            await _outbound().post(_posting(url, authority.pem))
    assert receiver.flooded < 16 << 20


def beside_tls(data: bytes, answer: bytes = b"") -> Manner:
    """Take the whole request, answer, and send what is no TLS on the same connection."""

    def manner(connection: Connection) -> None:
        connection.read()
        connection.send(answer)
        with socket.socket(fileno=os.dup(connection.socket.fileno())) as beneath:
            beneath.sendall(data)
            connection.wait(1)

    return manner


BAD_RECORD = b"\x17\x03\x03\x00\x20" + b"x" * 32


@pytest.mark.parametrize("data", [b"HTTP/1.1 200 OK\r\n\r\n", BAD_RECORD])
async def test_tls_that_breaks_in_place_of_an_answer_is_told(
    authority: Authority, data: bytes
) -> None:
    with (
        Receiver(beside_tls(data), tls=authority.context(HOST)) as receiver,
        pytest.raises(NoReply, match=f"no TLS with https://{HOST}:{receiver.port}: "),
    ):
        await _outbound().post(_posting(receiver.url("/", HOST), authority.pem))


async def test_an_answer_counts_though_tls_breaks_in_its_body(authority: Authority) -> None:
    answer = head(200, {"Content-Length": "100"}) + b"some"
    with Receiver(beside_tls(BAD_RECORD, answer), tls=authority.context(HOST)) as receiver:
        reply = await _outbound().post(_posting(receiver.url("/", HOST), authority.pem))
    assert reply.status == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_who_wants_a_certificate_of_ours_is_told(
    authority: Authority, version: ssl.TLSVersion
) -> None:
    context = authority.context(HOST)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=authority.pem)
    context.minimum_version = context.maximum_version = version
    with Receiver(tls=context) as receiver, pytest.raises(NoReply, match="hooks"):
        await _outbound().post(_posting(receiver.url("/", HOST), authority.pem))


@pytest.mark.parametrize("error", [ValueError("hidden"), OSError("hidden"), RuntimeError("hidden")])
async def test_whatever_comes_out_of_a_connection_is_no_reply(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("httpcore.AsyncConnectionPool.handle_async_request", fails)
    with pytest.raises(NoReply, match="broke off") as caught:
        await _outbound().post(_posting("http://127.0.0.1:9/hidden", ""))
    assert "hidden" not in str(caught.value) + caplog.text
