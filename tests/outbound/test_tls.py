"""A receiver is known by its certificate, under the name that was asked for."""

import re

import pytest

from shared.model.egress import Allowed
from shared.model.posting import NoReply, Posting
from shared.outbound import Outbound
from tests.support import receivers
from tests.support.authority import Authority
from tests.support.receivers import Receiver

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
