"""The smoke test against the registry's own host: one process is the whole registry.

Its storage is its own, where no dev host watches for new objects: a queue is told of them.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueClient, TextBase64EncodePolicy

from infra.devhost.storage import Azurite
from tests.smoke.conftest import Run
from tests.support.event_grid import event
from tests.support.hosts import Registry, running, settings_of
from tests.support.receivers import Receiver

pytestmark = [pytest.mark.protocol, pytest.mark.xdist_group("smoke")]

NEVER = {"size memory"}
"""What HTTP does not tell."""

ALL = ("--listen", "127.0.0.1", "--plane", "all")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with Azurite(tmp_path_factory.mktemp("own")) as emulator:
        yield settings_of(
            emulator, REGISTRY_OUTBOUND_ALLOW="127.0.0.0/8", REGISTRY_DRAIN_SECONDS="3"
        )


@pytest.fixture(scope="module")
def registry(
    settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registry]:
    log = tmp_path_factory.mktemp("host") / "log"
    with running(settings, log, module="infra.host", arguments=ALL) as (_, there):
        yield there


def tell(connection: str, over: threading.Event) -> None:
    """Tell the queue of each new object, once, as Event Grid does."""
    told: set[str] = set()
    policy = TextBase64EncodePolicy()
    with (
        BlobServiceClient.from_connection_string(connection) as account,
        QueueClient.from_connection_string(
            connection, "blob-events", message_encode_policy=policy
        ) as queue,
    ):
        content = account.get_container_client("content")
        while not over.wait(0.5):
            with suppress(ResourceNotFoundError):
                new = set(content.list_blob_names()) - told
                for name in new:
                    queue.send_message(json.dumps(event(name)))
                told |= new


@contextmanager
def events(connection: str) -> Iterator[None]:
    """Let new objects be told of, for a while."""
    over = threading.Event()
    telling = threading.Thread(target=tell, args=(connection, over))
    telling.start()
    try:
        yield
    finally:
        over.set()
        telling.join()


def test_nothing_differs(
    run: Run, registry: Registry, settings: dict[str, str], environment: dict[str, str]
) -> None:
    environment |= settings
    with Receiver() as receiver, events(settings["AzureWebJobsStorage"]):
        hook = receiver.url("/hook")
        seen = run(registry.login_server, "--cold", "0.1", "--receiver", hook)
        assert receiver.received[0].target == "/hook"
    assert seen.differs == set()
    assert seen.not_checked == NEVER
    assert seen.code == 0


def test_an_object_that_nobody_is_told_of_is_told(
    run: Run, registry: Registry, settings: dict[str, str], environment: dict[str, str]
) -> None:
    environment |= settings
    seen = run(registry.login_server, "--largest", "1MiB", "--slow", "0.2", "--wait", "5")
    assert seen.differs == {"storage verification"}
    assert seen.of("storage verification").startswith("not verified within 5 s")
