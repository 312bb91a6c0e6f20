"""What comes of a posting, whatever the receiver does: within its time, and of bounded size."""

import asyncio
import gzip
import time

import pytest

from shared.model.outbound.egress import Allowed
from shared.model.outbound.posting import (
    ANSWER_BYTES,
    HEADERS_BYTES,
    Forbidden,
    NoReply,
    Posting,
    Reply,
)
from shared.outbound.posting import Outbound
from tests.support import receivers
from tests.support.receivers import Connection, Manner, Receiver

BODY = b'{"action":"push"}'
HEADERS = {"Content-Type": "application/json", "User-Agent": "AzureContainerRegistry/1.0"}
LARGE = b"x" * (32 << 20)


@pytest.fixture
def outbound() -> Outbound:
    return Outbound(Allowed.read("127.0.0.1, ::1"))


async def _post(
    outbound: Outbound, manner: Manner, seconds: float = 5, body: bytes = BODY
) -> Reply:
    with Receiver(manner) as receiver:
        return await outbound.post(Posting(receiver.url("/hidden"), HEADERS, body, seconds))


async def test_a_request_is_what_was_asked_for(outbound: Outbound) -> None:
    answer = receivers.answers(201, b"done", {"X-One": "1", "x-two": "2", "X-ONE": "3"})
    with Receiver(answer) as receiver:
        url = receiver.url("/hook?code=a%2Fb#part")
        headers = {**HEADERS, "X-Own": "caf\N{LATIN SMALL LETTER E WITH ACUTE}"}
        reply = await outbound.post(Posting(url, headers, BODY, 5))

    assert (reply.status, reply.reason, reply.version) == (201, "Created", "1.1")
    assert reply.headers == {"Content-Length": "4", "X-One": "1", "x-two": "2", "X-ONE": "3"}
    assert reply.body == b"done"
    (got,) = receiver.received
    assert (got.method, got.target, got.body) == ("POST", "/hook?code=a%2Fb", BODY)
    assert got.headers == {
        "host": f"127.0.0.1:{receiver.port}",
        "content-length": str(len(BODY)),
        "connection": "close",
        "content-type": "application/json",
        "user-agent": "AzureContainerRegistry/1.0",
        "x-own": "caf\xc3\xa9",
    }


async def test_what_frames_a_request_is_never_the_users(outbound: Outbound) -> None:
    own = {"host": "other", "CONTENT-LENGTH": "1", "Transfer-Encoding": "chunked", "Upgrade": "x"}
    with Receiver() as receiver:
        await outbound.post(Posting(receiver.url(), own, BODY, 5))

    (got,) = receiver.received
    assert got.headers.keys() == {"host", "content-length", "connection"}
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert got.body == BODY


@pytest.mark.parametrize("status", [200, 204, 301, 307, 308, 400, 404, 410, 429, 500, 503, 599])
async def test_every_status_is_an_answer(outbound: Outbound, status: int) -> None:
    assert (await _post(outbound, receivers.answers(status))).status == status


async def test_a_redirect_is_not_followed(outbound: Outbound) -> None:
    with Receiver() as other:
        reply = await _post(outbound, receivers.redirects(other.url("/"), 307))

    assert reply.status == 307
    assert reply.headers["Location"] == other.url("/")
    assert other.connections == 0


async def test_when_to_come_again_is_kept(outbound: Outbound) -> None:
    reply = await _post(outbound, receivers.is_busy("120"))
    assert (reply.status, reply.headers["Retry-After"]) == (429, "120")


async def test_an_answer_before_the_body_is_one(outbound: Outbound) -> None:
    reply = await _post(outbound, receivers.answers_before_the_body(413), body=LARGE)
    assert reply.status == 413


async def test_an_answer_after_interim_ones_is_one(outbound: Outbound) -> None:
    answer = receivers.head(103, {"Link": "x"}) + receivers.head(202, {"Content-Length": "0"})
    assert (await _post(outbound, receivers.says(answer))).status == 202


CUT: list[tuple[str, Manner]] = [
    ("body without end", receivers.floods_the_body()),
    ("chunks without end", receivers.floods_chunks()),
    ("large body", receivers.answers(200, b"and on, " * 100_000)),
]


@pytest.mark.parametrize("manner", [each for _, each in CUT], ids=[name for name, _ in CUT])
async def test_an_answers_body_is_cut(outbound: Outbound, manner: Manner) -> None:
    with Receiver(manner) as receiver:
        reply = await outbound.post(Posting(receiver.url(), HEADERS, BODY, 5))
    assert reply.status == 200
    assert 0 < len(reply.body) <= ANSWER_BYTES
    assert receiver.flooded < 16 << 20  # what lay in the sockets of both sides


@pytest.mark.parametrize(
    "manner", [receivers.breaks_off_in_the_answer, receivers.drips(0.02)], ids=["breaks", "drips"]
)
async def test_an_answers_status_counts_though_its_body_does_not_come(
    outbound: Outbound, manner: Manner
) -> None:
    assert (await _post(outbound, manner, seconds=4)).status == 200


async def test_what_is_not_kept_of_an_answer_is_not_waited_for(outbound: Outbound) -> None:
    def manner(connection: Connection) -> None:
        connection.read()
        connection.send(receivers.head(200, {"Content-Length": "1000000"}), b"x" * ANSWER_BYTES)
        connection.wait(receivers.PATIENCE_SECONDS)

    began = time.monotonic()
    assert (await _post(outbound, manner, seconds=20)).body == b"x" * ANSWER_BYTES
    assert time.monotonic() - began < 10


async def test_an_answers_headers_are_cut(outbound: Outbound) -> None:
    headers = {"X-Long": "y" * 20_000, **{f"X-{number}": "z" * 100 for number in range(200)}}
    reply = await _post(outbound, receivers.answers(200, b"", headers))

    assert len(reply.headers["X-Long"]) == HEADERS_BYTES // 4
    kept = sum(len(name) + len(value) for name, value in reply.headers.items())
    assert HEADERS_BYTES // 2 < kept <= HEADERS_BYTES


async def test_a_compressed_answer_is_not_inflated(outbound: Outbound) -> None:
    bomb = gzip.compress(bytes(50 << 20))[:ANSWER_BYTES]
    reply = await _post(outbound, receivers.answers(200, bomb, {"Content-Encoding": "gzip"}))
    assert reply.body == bomb


NO_ANSWERS: list[tuple[str, Manner, str]] = [
    ("reset", receivers.breaks_off_at_once, ""),
    ("no body", receivers.breaks_off_before_the_body, ""),
    ("body", receivers.breaks_off_after_the_body, "broke off before it answered"),
    ("end", receivers.hangs_up, "hung up, or what it sent is not HTTP"),
    ("interim answers", receivers.floods_interim_answers(), "sent 64 KiB, and that was no answer"),
    ("headers", receivers.floods_headers(), "sent 64 KiB, and that was no answer"),
    ("one header", receivers.floods_a_header(), "sent 64 KiB, and that was no answer"),
    ("another protocol", receivers.says(b"SSH-2.0-hidden\r\n\r\n"), "what it sent is not HTTP"),
    ("upgrade", receivers.answers(101), "what it sent is not HTTP"),
    ("no number", receivers.says(b"HTTP/1.1 hidden OK\r\n\r\n"), "not HTTP"),
    (
        "two lengths",
        receivers.says(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        "not HTTP",
    ),
]


@pytest.mark.parametrize(
    ("manner", "why"), [each[1:] for each in NO_ANSWERS], ids=[each[0] for each in NO_ANSWERS]
)
async def test_what_is_no_answer_is_told_in_our_words(
    outbound: Outbound, manner: Manner, why: str
) -> None:
    with Receiver(manner) as receiver, pytest.raises(NoReply) as caught:
        await outbound.post(Posting(receiver.url("/hidden"), HEADERS, BODY, 5))

    assert why in str(caught.value)
    assert f"http://127.0.0.1:{receiver.port}" in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert not caught.value.took_all
    assert caught.value.__context__ is None
    assert receiver.flooded < 16 << 20


async def test_a_connection_may_be_refused(outbound: Outbound) -> None:
    with pytest.raises(NoReply, match=r"no connection to http://127.*: Connection refused"):
        await outbound.post(Posting(receivers.nobody_listens(), HEADERS, BODY, 5))


async def test_a_silent_receiver_that_took_all_is_told_apart(outbound: Outbound) -> None:
    with pytest.raises(NoReply, match=r"did not answer within 0\.5 s") as caught:
        await _post(outbound, receivers.is_silent, seconds=0.5)
    assert caught.value.took_all


async def test_a_receiver_that_reads_nothing_took_nothing(outbound: Outbound) -> None:
    with pytest.raises(NoReply, match=r"did not take the whole request") as caught:
        await _post(outbound, receivers.reads_nothing, seconds=1, body=LARGE)
    assert not caught.value.took_all


async def test_what_still_waits_to_be_sent_is_not_taken(outbound: Outbound) -> None:
    """All of it may have left the program, and lie with the system until the other side reads."""
    took = []
    for kib in range(256, 8 << 10, 512):  # more than one side's buffer holds, less than both
        with pytest.raises(NoReply) as caught:
            await _post(outbound, receivers.reads_nothing, seconds=0.2, body=bytes(kib << 10))
        took.append((caught.value.took_all, "did not answer" in str(caught.value)))
    assert (False, False) in took
    assert (False, True) in took


async def test_an_answer_that_drips_ends_when_its_time_is_over(outbound: Outbound) -> None:
    began = time.monotonic()
    with pytest.raises(NoReply, match="did not answer within 1 s") as caught:
        await _post(outbound, receivers.drips(0.05, b"HTTP/1.1 200 " + b"x" * 10_000), seconds=1)
    assert time.monotonic() - began < 3
    assert caught.value.took_all


async def test_a_header_with_a_line_break_is_never_sent(outbound: Outbound) -> None:
    headers = {"X-Own": "hidden\r\nX-More: hidden"}
    with Receiver() as receiver, pytest.raises(NoReply, match="that HTTP does not allow") as caught:
        await outbound.post(Posting(receiver.url(), headers, BODY, 5))
    assert "hidden" not in str(caught.value)
    assert not receiver.received


async def test_a_malformed_address_is_refused(outbound: Outbound) -> None:
    with pytest.raises(Forbidden, match="must be http:// or https://"):
        await outbound.post(Posting("gopher://127.0.0.1/", HEADERS, BODY, 5))


async def test_a_slow_receiver_holds_up_no_other(outbound: Outbound) -> None:
    with Receiver(receivers.is_silent) as slow, Receiver() as quick:
        late = asyncio.gather(
            *(outbound.post(Posting(slow.url(), HEADERS, BODY, 2)) for _ in range(20)),
            return_exceptions=True,
        )
        await asyncio.sleep(0.3)
        began = time.monotonic()
        replies = [await outbound.post(Posting(quick.url(), HEADERS, BODY, 2)) for _ in range(5)]
        assert time.monotonic() - began < 1.5
        assert {each.status for each in replies} == {200}
        assert all(isinstance(each, NoReply) for each in await late)


async def test_an_ipv6_address_is_posted_to(outbound: Outbound) -> None:
    with Receiver(address="::1") as receiver:
        reply = await outbound.post(Posting(receiver.url(), HEADERS, BODY, 5))
    assert reply.status == 200
    assert receiver.received[0].headers["host"] == f"[::1]:{receiver.port}"
