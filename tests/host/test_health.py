"""Probes: who is asked costs nothing, and who answers is to be believed."""

import asyncio
from pathlib import Path

import httpx
import pytest

from infra.devhost.stopping import Stopping
from infra.devhost.storage import Azurite
from infra.host import health
from infra.host.health import Health
from tests.host.conftest import HASTY, HTTP, Replica, Start
from tests.support.hosts import Host, settings_of
from tests.support.waiting import until

NOT_THERE = ("/", "/health", "/health/", "/health/all", "/admin/host/status", "/.auth/me")


@pytest.mark.emulator
def test_probes_need_no_login(replica: Replica) -> None:
    _, registry = replica
    for path in ("/health/live", "/health/ready"):
        answer = httpx.get(f"{registry.url}{path}", headers={"Host": "10.0.0.1"})
        assert (answer.status_code, answer.text) == (200, "ok\n")
        assert answer.headers["Cache-Control"] == "no-store"
        head = httpx.head(f"{registry.url}{path}")
        assert (head.status_code, head.content) == (200, b"")
        assert httpx.post(f"{registry.url}{path}").status_code == 405


@pytest.mark.emulator
def test_nothing_else_is_there(replica: Replica) -> None:
    _, registry = replica
    for path in NOT_THERE:
        assert httpx.get(f"{registry.url}{path}").status_code == 404, path
    hook = f"{registry.url}/runtime/webhooks/blobs?functionName=verify_blob"
    kind = {"aeg-event-type": "SubscriptionValidation"}
    event = [{"data": {"validationCode": "x"}}]
    assert httpx.post(hook, headers=kind, json=event).status_code == 404
    answer = httpx.get(f"{registry.url}/")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Server" not in answer.headers


@pytest.mark.emulator
def test_a_replica_is_ready_while_storage_is_there(start: Start, tmp_path: Path) -> None:
    with Azurite(tmp_path / "storage") as storage:
        host, registry = start(module=HASTY, **settings_of(storage))

        def ready() -> int:
            return httpx.get(f"{registry.url}/health/ready").status_code

        assert ready() == 200
        storage.stop()
        until(lambda: ready() == 503, 15)
        assert httpx.get(f"{registry.url}/health/live").status_code == 200
        assert httpx.get(f"{registry.url}/health/ready").text == "not ready: the log says why\n"
        with Azurite(tmp_path / "storage", storage.ports):
            until(lambda: ready() == 200, 15)
    assert host.log().count("Not ready: ") == 1
    assert host.log().count("Ready.") == 2


@pytest.mark.emulator
def test_a_replica_with_another_master_key_is_not_ready(start: Start, tmp_path: Path) -> None:
    with Azurite(tmp_path / "storage") as storage:
        settings = settings_of(storage)
        _, registry = start(module=HASTY, **settings)
        assert httpx.get(f"{registry.url}/health/ready").status_code == 200
        assert httpx.get(f"{registry.url}/v2/").status_code == 401  # which makes the registry
        other = Host(
            {**settings, "REGISTRY_MASTER_KEY": "x" * 64}, tmp_path / "log", HASTY, arguments=HTTP
        )
        url = f"http://{other.login_server}/health"
        try:
            other.start(other.listens)
            assert httpx.get(f"{url}/ready").status_code == 503
            assert "Not ready: REGISTRY_MASTER_KEY is not the one" in other.log()
        finally:
            other.stop()


class Storage:
    """Counts who looks, and is away or hangs if asked."""

    def __init__(self, error: Exception | None = None, seconds: float = 0) -> None:
        self.looks, self._error, self._seconds = 0, error, seconds

    async def look(self) -> None:
        self.looks += 1
        await asyncio.sleep(self._seconds)
        if self._error:
            raise self._error


async def test_a_thousand_probes_are_one_look() -> None:
    storage = Storage(seconds=0.05)
    probe = Health(storage.look, Stopping())
    assert all(await asyncio.gather(*(probe.is_ready() for _ in range(500))))
    assert all([await probe.is_ready() for _ in range(500)])
    assert storage.looks == 1


async def test_a_fault_is_kept_for_a_while_too(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage(ExceptionGroup("several", [ValueError("no")]))
    probe = Health(storage.look, Stopping())
    assert [await probe.is_ready() for _ in range(3)] == [False] * 3
    assert storage.looks == 1
    monkeypatch.setattr(health, "_KEPT_SECONDS", 0)
    assert not await probe.is_ready()
    assert storage.looks == 2


async def test_storage_that_hangs_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_LOOK_SECONDS", 0.05)
    assert not await Health(Storage(seconds=60).look, Stopping()).is_ready()


async def test_a_prober_that_hangs_up_does_not_end_the_look_of_others() -> None:
    storage = Storage(seconds=0.05)
    probe = Health(storage.look, Stopping())
    hasty = asyncio.create_task(probe.is_ready())
    await asyncio.sleep(0.01)
    hasty.cancel()
    assert await probe.is_ready()
    assert storage.looks == 1


async def test_who_leaves_is_not_ready_whatever_storage_says() -> None:
    storage, leaving = Storage(), Stopping()
    probe = Health(storage.look, leaving)
    assert await probe.is_ready()
    leaving.set()
    assert not await probe.is_ready()
