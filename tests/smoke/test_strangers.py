"""Strangers: what they may do to a server, and what differs where it does."""

import itertools

import pytest

from infra.azure.smoke.asking.wire import Server, Wire
from infra.azure.smoke.checks import strangers
from infra.azure.smoke.credentials import Login
from infra.azure.smoke.findings import Finding, Verdict
from infra.azure.smoke.options import Options
from infra.azure.smoke.site import Site
from tests.smoke.serving import Give, answer, serving

UNKNOWN = answer("401 Unauthorized")
CHECKS = {check.name: check for check in strangers.room.checks}


async def seen(check: str, give: Give) -> Finding:
    async with serving(give) as (port, _):
        server = Server(f"127.0.0.1:{port}", is_plain=True)
        async with Wire(server, patience=0.5) as wire:
            return await CHECKS[check].run(Site(wire, Login("somebody", "password"), Options()))


def given_a_control_byte(said: bytes) -> Give:
    """Give an answer to a control byte, and what nobody's request is given to all others."""
    return lambda head: said if b"\x01" in head else UNKNOWN


@pytest.mark.parametrize("said", [answer("400 Bad Request"), answer("500 Failed"), b""])
async def test_a_control_byte_is_refused_or_the_connection_ends(said: bytes) -> None:
    finding = await seen("strangers control byte", given_a_control_byte(said))
    assert finding.verdict is Verdict.AS_PROMISED


@pytest.mark.parametrize("status", ["200 OK", "302 Found", "401 Unauthorized"])
async def test_a_control_byte_that_is_taken_differs(status: str) -> None:
    finding = await seen("strangers control byte", given_a_control_byte(answer(status)))
    assert finding.verdict is Verdict.DIFFERS
    assert finding.seen.startswith(f"HTTP/1.1 {status}")


async def test_a_server_that_loses_heart_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "_HANG_UPS", 3)
    count = itertools.count()
    finding = await seen(
        "strangers hang up", lambda _: UNKNOWN if next(count) < 3 else answer("503 Busy")
    )
    assert finding.verdict is Verdict.DIFFERS
    assert "503" in finding.seen
