"""New objects are verified where Event Grid writes to a queue, and no trigger watches."""

import json
from collections.abc import Iterator

import pytest
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueClient, TextBase64EncodePolicy

from infra.devhost.storage import Azurite
from tests.support import flows
from tests.support.emulators import scratch
from tests.support.event_grid import SCHEMAS, event
from tests.support.hosts import Host, Registry, running, settings_of
from tests.support.images import Blob, blob, random_bytes
from tests.support.waiting import until

pytestmark = [
    pytest.mark.protocol,
    pytest.mark.direct("events come by a queue, not by the front"),
]

SECONDS = 30
REPOSITORY = "told/of"
OFF = {"AzureWebJobs.verify_blob.Disabled": "true"}


@pytest.fixture(scope="module")
def kept() -> Iterator[Azurite]:
    """A storage of its own: no other host is to watch it."""
    with scratch("told") as folder, Azurite(folder) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def served(
    kept: Azurite, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Host, Registry]]:
    with running(settings_of(kept, **OFF), tmp_path_factory.mktemp("told") / "log") as pair:
        yield pair


@pytest.fixture
def host(served: tuple[Host, Registry]) -> Host:
    return served[0]


@pytest.fixture
def registry(served: tuple[Host, Registry]) -> Registry:
    return served[1]


def publish(kept: Azurite, said: object) -> None:
    """Put a message on the queue as Event Grid does: JSON in base64."""
    policy = TextBase64EncodePolicy()
    with QueueClient.from_connection_string(
        kept.connection_string, "blob-events", message_encode_policy=policy
    ) as queue:
        queue.send_message(json.dumps(said))


def pushed(registry: Registry, seed: int) -> Blob:
    content = blob(random_bytes(100_000, seed))
    with flows.connect(registry, REPOSITORY) as client:
        flows.push_blob(client, REPOSITORY, content)
    return content


def row(kept: Azurite, content: Blob) -> dict[str, object]:
    """Read where a blob's bytes are, and when they were verified."""
    with TableServiceClient.from_connection_string(kept.connection_string) as tables:
        rows = tables.get_table_client("blobs").query_entities("RowKey eq 'content'")
        found = [one for one in rows if str(one["PartitionKey"]).endswith(content.digest)]
    return dict(found[0])


def name(kept: Azurite, content: Blob) -> str:
    return str(row(kept, content)["object"])


def heard(host: Host) -> int:
    """Count the messages that have been seen to, and fail where one failed."""
    log = host.log()
    assert "Executed 'Functions.verify_blob_event' (Failed" not in log
    return log.count("Executed 'Functions.verify_blob_event' (Succeeded")


@pytest.mark.parametrize("schema", SCHEMAS)
def test_an_event_has_an_object_verified(
    kept: Azurite, registry: Registry, host: Host, schema: str
) -> None:
    content = pushed(registry, SCHEMAS.index(schema))
    before = heard(host)
    publish(kept, event(name(kept, content), schema=schema))
    until(lambda: row(kept, content).get("verified"), SECONDS)
    until(lambda: heard(host) > before, SECONDS)


def test_events_come_in_lists_twice_late_and_of_others(
    kept: Azurite, registry: Registry, host: Host
) -> None:
    first, second, gone = (pushed(registry, 10 + seed) for seed in range(3))
    names = [name(kept, one) for one in (first, second, gone)]
    with BlobServiceClient.from_connection_string(kept.connection_string) as account:
        account.get_blob_client("content", names[2]).delete_blob()
    foreign = event(names[0], container="registries")
    before = heard(host)
    publish(kept, [foreign, *map(event, names)])
    publish(kept, event(names[0]))
    publish(kept, foreign)
    until(lambda: heard(host) == before + 6, SECONDS)
    for one in (first, second):
        assert row(kept, one).get("verified")


def test_what_is_no_event_holds_up_no_other(kept: Azurite, registry: Registry, host: Host) -> None:
    content = pushed(registry, 20)
    with QueueClient.from_connection_string(kept.connection_string, "blob-events") as queue:
        queue.send_message("not in base64!")
    publish(kept, {"no": "event"})
    publish(kept, event(name(kept, content)))
    until(lambda: row(kept, content).get("verified"), SECONDS)
    until(lambda: "goes to blob-events-poison" in host.log(), SECONDS)
    until(lambda: "of queue blob-events failed, try 1" in host.log(), SECONDS)
