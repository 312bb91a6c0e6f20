"""Where a posting goes: to an address that was judged, or nowhere."""

import asyncio
import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence

import pytest

from shared.model.outbound.egress import Allowed
from shared.model.outbound.posting import Forbidden, NoReply, Posting
from shared.outbound.names import look_up
from shared.outbound.posting import Outbound
from tests.support import receivers
from tests.support.receivers import Receiver

OPEN = "203.0.114.1"


class Names:
    """Names that lead where a test says; each answer is given once, the last one again and again.

    Addresses of the world stand for a receiver's: nothing listens there, in any test.
    """

    def __init__(self, answers: Mapping[str, Sequence[Sequence[str]]]) -> None:
        self._answers = {name: list(each) for name, each in answers.items()}
        self.asked: list[str] = []

    def __call__(self, host: str) -> Iterable[str]:
        self.asked.append(host)
        left = self._answers.get(host)
        if not left:
            raise OSError(-2, "Name or service not known")
        return left.pop(0) if len(left) > 1 else left[0]


def _posting(url: str, seconds: float = 3) -> Posting:
    return Posting(url, {}, b"{}", seconds)


FORBIDDEN = [
    ("http://127.0.0.1:{port}/hidden", "is a loopback address"),
    ("http://127.1.2.3:{port}/hidden", "is a loopback address"),
    ("http://[::1]:{port}/hidden", "is a loopback address"),
    ("http://[::ffff:127.0.0.1]:{port}/hidden", "is a loopback address"),
    ("http://[64:ff9b::7f00:1]:{port}/hidden", "is a loopback address"),
    ("http://0.0.0.0:{port}/hidden", "is a reserved address"),
    ("http://[::]:{port}/hidden", "is a reserved address"),
    ("http://localhost:{port}/hidden", "leads to a loopback address"),
    ("http://LOCALHOST.:{port}/hidden", "leads to a loopback address"),
    ("http://169.254.169.254/hidden", "is a link-local address"),
    ("http://168.63.129.16/hidden", "is a platform's own address"),
    ("http://10.0.0.1/hidden", "is a private address"),
]


@pytest.mark.parametrize(("url", "why"), FORBIDDEN)
async def test_a_closed_address_is_not_connected_to(url: str, why: str) -> None:
    outbound = Outbound(Allowed())
    with Receiver() as receiver:
        url = url.format(port=receiver.port)
        for act in (outbound.post(_posting(url)), outbound.check(url)):
            with pytest.raises(Forbidden, match=why) as caught:
                await act
            assert "REGISTRY_OUTBOUND_ALLOW" in str(caught.value)
            assert "hidden" not in str(caught.value)
            assert not caught.value.took_all
        assert receiver.connections == 0


@pytest.mark.parametrize("name", ["127.0.0.1", "127.0.0.0/8", "0.0.0.0/0"])
async def test_a_closed_address_that_is_named_is_posted_to(name: str) -> None:
    outbound = Outbound(Allowed.read(name))
    with Receiver() as receiver:
        mapped = receiver.url("/", "[::ffff:127.0.0.1]")
        for url in (receiver.url(), mapped):
            await outbound.check(url)
        assert (await outbound.post(_posting(receiver.url()))).status == 200


async def test_a_name_that_is_named_is_allowed_and_no_other() -> None:
    names = Names({"hooks.internal": [["127.0.0.1"]], "x.internal": [["127.0.0.1"]]})
    outbound = Outbound(Allowed.read("hooks.internal"), lookup=names)
    with Receiver() as receiver:
        reply = await outbound.post(_posting(receiver.url("/", "Hooks.Internal.")))
        assert reply.status == 200
        assert receiver.received[0].headers["host"] == f"hooks.internal:{receiver.port}"
        with pytest.raises(Forbidden, match=r"leads to a loopback address.* name x\.internal or"):
            await outbound.post(_posting(receiver.url("/", "x.internal")))
        with pytest.raises(Forbidden):
            await outbound.post(_posting(receiver.url()))
        assert receiver.connections == 1


@pytest.mark.parametrize(
    "found",
    [[OPEN, "127.0.0.1"], ["127.0.0.1", OPEN], ["8.8.8.8", "::1"], ["fe80::1%eth0"]],
)
async def test_one_closed_address_among_a_names_is_enough(found: Sequence[str]) -> None:
    outbound = Outbound(Allowed(), lookup=Names({"hooks.example": [found]}))
    with Receiver() as receiver:
        with pytest.raises(Forbidden):
            await outbound.post(_posting(receiver.url("/", "hooks.example")))
        assert receiver.connections == 0


async def test_a_name_that_changes_its_mind_gains_nothing() -> None:
    """Judged as it led to the world, it leads to this machine when it is asked again."""
    names = Names({"hooks.example": [["127.0.0.2"], ["127.0.0.1"]]})
    outbound = Outbound(Allowed.read("127.0.0.2"), lookup=names)
    with Receiver() as closed, Receiver(address="127.0.0.2", port=closed.port) as opened:
        reply = await outbound.post(_posting(closed.url("/", "hooks.example")))
        assert reply.status == 200
        assert (opened.connections, closed.connections) == (1, 0)
        assert names.asked == ["hooks.example"]

        with pytest.raises(Forbidden):
            await outbound.post(_posting(closed.url("/", "hooks.example")))
        assert (opened.connections, closed.connections) == (1, 0)


async def test_the_next_address_of_a_name_is_tried() -> None:
    names = Names({"hooks.internal": [["127.0.0.3", "127.0.0.1"]]})
    outbound = Outbound(Allowed.read("127.0.0.0/8"), lookup=names)
    with Receiver() as receiver:
        reply = await outbound.post(_posting(receiver.url("/", "hooks.internal")))
    assert reply.status == 200


async def test_a_name_that_nobody_knows_is_tried_again_later() -> None:
    outbound = Outbound(Allowed(), lookup=Names({"empty.example": [[]]}))
    for host in ("gone.example", "empty.example"):
        with pytest.raises(NoReply, match=f"no address is known of the host of http://{host}"):
            await outbound.post(_posting(f"http://{host}/hidden"))
        await outbound.check(f"http://{host}/hidden")


async def test_a_name_is_looked_up_within_the_time_and_holds_up_nothing() -> None:
    lets_go = threading.Event()

    def lookup(host: str) -> Iterable[str]:
        if host == "slow.example":
            lets_go.wait(30)
        return ["127.0.0.1"]

    outbound = Outbound(Allowed.read("127.0.0.1"), lookup=lookup)
    try:
        with Receiver() as receiver:
            began = time.monotonic()
            slow = [outbound.post(_posting("http://slow.example/", 1)) for _ in range(100)]
            late = asyncio.gather(*slow, return_exceptions=True)
            await asyncio.sleep(0.1)
            assert (await outbound.post(_posting(receiver.url("/", "quick.example")))).status == 200
            assert time.monotonic() - began < 0.9
        assert {str(each) for each in await late} == {
            "no connection to http://slow.example within 1 s"
        }
    finally:
        lets_go.set()


async def test_the_systems_names_are_asked() -> None:
    assert {"127.0.0.1", "::1"} & set(look_up("localhost"))


async def test_no_address_is_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("httpx", "httpcore", "httpcore.http11"):
        monkeypatch.setattr(logging.getLogger(name), "level", logging.NOTSET)
    logging.getLogger("httpcore")._cache.clear()  # type: ignore[attr-defined]
    caplog.set_level(logging.DEBUG)
    outbound = Outbound(Allowed.read("127.0.0.1"))
    answer = receivers.answers(200, headers={"Set-Cookie": "hidden"})
    with Receiver(answer) as receiver:
        await outbound.post(_posting(receiver.url("/hidden?hidden=1")))
    assert "hidden" not in caplog.text
    assert str(receiver.port) not in caplog.text


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"])
async def test_what_others_obey_in_the_environment_is_ignored(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with Receiver() as proxy, Receiver() as receiver:
        monkeypatch.setenv(name, proxy.url())
        outbound = Outbound(Allowed.read("127.0.0.1"))
        assert (await outbound.post(_posting(receiver.url()))).status == 200
        assert proxy.connections == 0
