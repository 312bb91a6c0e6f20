"""Both versions, and storage for them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.storage.queue import QueueServiceClient

from tests.support.emulators import emulator
from tests.support.hosts import ROOT, settings_of
from tests.support.isolated import require_azures_platform
from tests.upgrades.versions import Packaged, Version, last_commit, packaged

TOGETHER = {
    "AzureFunctionsWebHost__hostid": "upgrades",
    "REGISTRY_LOGIN_SERVER": "registry.test",
    "REGISTRY_OUTBOUND_ALLOW": "127.0.0.0/8",
    "REGISTRY_BLOB_REDIRECTS": "false",
}
"""Both are one function app, under one name."""


@pytest.fixture(scope="session")
def this() -> Version:
    return Version("this version", ROOT)


@pytest.fixture(scope="session")
def last() -> Packaged:
    require_azures_platform()
    return packaged(last_commit((ROOT / "CHANGELOG.md").read_text()))


@pytest.fixture(scope="module")
def settings() -> Iterator[dict[str, str]]:
    """Storage of its own for each module, and settings that know of it."""
    with emulator("upgrades") as azurite:
        yield settings_of(azurite, **TOGETHER)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture
def queues(settings: dict[str, str]) -> Iterator[QueueServiceClient]:
    connection = settings["AzureWebJobsStorage"]
    with QueueServiceClient.from_connection_string(connection) as service:
        yield service
