"""Tables are lost, and come back: all that was pushed is pulled again, by its digest."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest
from azure.data.tables import TableServiceClient
from azure.storage.blob import ContainerClient

from infra.devhost.storage import Azurite
from shared import administration
from shared.services.rebuild.report import Report
from shared.settings import Settings
from shared.storage import ages, keys
from shared.storage.azure.connections import opened_ports
from shared.storage.halt import Halt
from tests.support import flows
from tests.support.hosts import Host, Registry, running, settings_of
from tests.support.images import artifact, blob, image, multi_platform
from tests.support.listings import referrers, status
from tests.support.waiting import until

pytestmark = [
    pytest.mark.protocol,
    pytest.mark.direct("what is lost, and comes back, is in storage, not in front of it"),
]

A, B = "team/app", "mirror"
ONE, MANY = image(1), multi_platform(2)
SIGNATURE = artifact("application/vnd.example.signature", b"signed", ONE.manifest)
UNUSED = blob(b"uploaded, and not yet used")
MANIFESTS = 6


@dataclass(frozen=True, slots=True)
class Place:
    """Storage of its own, with a registry that holds something of each kind."""

    emulator: Azurite
    settings: dict[str, str]
    folder: Path

    @contextmanager
    def run(self) -> Iterator[tuple[Host, Registry]]:
        with running(self.settings, self.folder / "log") as pair:
            yield pair

    def tables(self) -> TableServiceClient:
        return TableServiceClient.from_connection_string(self.emulator.connection_string)

    def drop(self, *tables: str) -> None:
        with self.tables() as service:
            for table in tables:
                service.delete_table(table)

    def empty(self) -> None:
        """Delete every row."""
        with self.tables() as service:
            for table in keys.TABLES:
                client = service.get_table_client(table)
                for entity in client.list_entities():
                    client.delete_entity(entity)

    def manifests(self) -> int:
        """Count the objects that are manifests."""
        with ContainerClient.from_connection_string(
            self.emulator.connection_string, "content"
        ) as content:
            listed = content.list_blobs(include=["metadata"])
            return sum(it.metadata["kind"] == "manifest" for it in listed)

    def rebuild(self) -> Report:
        async def run() -> Report:
            async with administration.recovery(Settings.from_env(self.settings)) as recovery:
                (report,) = await recovery.run(lambda *_: None)
            return report

        return asyncio.run(run())

    def is_halted(self) -> bool:
        async def ask() -> bool:
            async with opened_ports({"": self.emulator.connection_string}) as ports:
                return await Halt(ports[3]).age() is not None

        return asyncio.run(ask())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("rebuild")
    with Azurite(folder / "azurite") as emulator:
        place = Place(emulator, settings_of(emulator), folder)
        with place.run() as (_, registry):
            fill(registry)
            until(lambda: place.manifests() == MANIFESTS, 30)  # bodies are copied behind the queue
        yield place


@pytest.fixture(autouse=True)
def short_ages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ages, "L", timedelta(seconds=1))


def fill(registry: Registry) -> None:
    """Push an image, an index and a signature; and mount the image elsewhere."""
    for root in (ONE, MANY, SIGNATURE):
        flows.push(registry, A, root, root.digest)
    with flows.connect(registry, A) as client:
        flows.push_blob(client, A, UNUSED)
    scope = f"repository:{A}:pull repository:{B}:pull,push"
    with flows.connect(registry, B) as client:
        client.headers["Authorization"] = flows.authorization(registry, scope)
        for part in ONE.blobs:
            query = {"mount": part.digest, "from": A}
            answer = client.post(f"/v2/{B}/blobs/uploads/", params=query)
            assert answer.status_code == 201, answer.text
        assert flows.push_manifest(client, B, ONE.manifest, ONE.digest).status_code == 201


def check(registry: Registry) -> None:
    """Pull all of it."""
    for each in (ONE, SIGNATURE, *MANY.images):
        assert flows.pull(registry, A, each.digest) == flows.pulled(each)
    assert flows.pull(registry, B, ONE.digest) == flows.pulled(ONE)
    with flows.connect(registry, A, "pull") as client:
        assert flows.pull_manifest(client, A, MANY.digest) == MANY.manifest
        assert flows.pull_blob(client, A, UNUSED.digest) == UNUSED.content
    assert [*referrers(registry, A, ONE.digest)] == [SIGNATURE.digest]
    assert status(registry, B, SIGNATURE.digest) == 404
    flows.push(registry, A, ONE, "v1")
    assert flows.resolve(registry, A, "v1") == ONE.digest


@pytest.mark.parametrize(
    "lose",
    [
        lambda place: place.drop(keys.CONTENTS),
        lambda place: place.drop(keys.BLOBS),
        lambda place: place.drop(keys.CONTENTS, keys.BLOBS, keys.REPOSITORIES),
    ],
    ids=["contents", "blobs", "all of the content's"],
)
def test_lost_tables_come_back_beside_a_run(place: Place, lose: Callable[[Place], None]) -> None:
    with place.run() as (_, registry):
        lose(place)
        status(registry, A, ONE.digest)  # the app makes them anew, and halts all removers
        report = place.rebuild()
        assert not report.faults
        assert not place.is_halted()
        check(registry)


def answers(host: Host) -> bool:
    """Tell whether a host says anything: behind a front its port is open before that."""
    try:
        httpx.get(f"http://127.0.0.1:{host.port}/v2/")
    except httpx.TransportError:
        return False
    return True


@pytest.mark.parametrize(
    "lose", [Place.empty, lambda place: place.drop(*keys.TABLES)], ids=["all rows", "all tables"]
)
def test_a_registry_that_lost_everything_waits_for_its_rebuild(
    place: Place, lose: Callable[[Place], None]
) -> None:
    lose(place)
    host = Host(place.settings, place.folder / "log")
    host.start(ready=partial(answers, host))
    try:
        registry = Registry(
            host.login_server, "registry", place.settings["REGISTRY_ADMIN_PASSWORD"]
        )
        ping = httpx.get(f"{registry.url}/v2/")
        assert ping.status_code == 500
        assert "rebuild" not in ping.text
        assert "python -m infra.admin rebuild" in host.log()
        report = place.rebuild()
        assert (len(report.revived), report.faults) == (MANIFESTS, [])
        check(registry)
    finally:
        host.stop()
    assert not place.is_halted()
