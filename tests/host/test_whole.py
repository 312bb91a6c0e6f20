"""Nothing but replicas of all planes and a storage account: together they are the registry."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueClient, TextBase64EncodePolicy

from infra.devhost.storage import Azurite
from tests.host.conftest import MODULE, Replica
from tests.support import flows
from tests.support.event_grid import event
from tests.support.hosts import Registry, running, settings_of
from tests.support.images import Image, image
from tests.support.waiting import until

pytestmark = pytest.mark.emulator

REPOSITORY = "whole/app"
ALL = ("--listen", "127.0.0.1", "--plane", "all")
FANNED, VERIFIED = (
    f"Functions.{name}' (Succeeded" for name in ("fan_out_event", "verify_blob_event")
)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Azurite]:
    """A storage of its own: no other replica works there."""
    with Azurite(tmp_path / "storage") as emulator:
        yield emulator


@pytest.fixture
def replicas(kept: Azurite, tmp_path: Path) -> Iterator[tuple[Replica, Replica]]:
    settings = settings_of(kept, REGISTRY_DRAIN_SECONDS="3")
    with (
        running(settings, tmp_path / "one", module=MODULE, arguments=ALL) as one,
        running(settings, tmp_path / "other", module=MODULE, arguments=ALL) as other,
    ):
        yield one, other


def content(kept: Azurite, pushed: Image) -> dict[str, object]:
    """Read the row of a layer's bytes."""
    digest = pushed.layers[0].blob.digest
    with TableServiceClient.from_connection_string(kept.connection_string) as tables:
        rows = tables.get_table_client("blobs").query_entities("RowKey eq 'content'")
        return next(dict(row) for row in rows if str(row["PartitionKey"]).endswith(digest))


def publish(kept: Azurite, pushed: Image) -> None:
    """Tell the queue of a layer, as Event Grid does."""
    with QueueClient.from_connection_string(
        kept.connection_string, "blob-events", message_encode_policy=TextBase64EncodePolicy()
    ) as queue:
        queue.send_message(json.dumps(event(str(content(kept, pushed)["object"]))))


def push(kept: Azurite, registry: Registry, tag: str, seed: int) -> Image:
    built = image(seed)
    flows.push(registry, REPOSITORY, built, tag)
    publish(kept, built)
    return built


def test_each_is_the_registry_and_what_one_leaves_the_other_does(
    kept: Azurite, replicas: tuple[Replica, Replica]
) -> None:
    (victim, one), (host, other) = replicas

    def fanned() -> int:
        return (victim.whole_log() + host.whole_log()).count(FANNED)

    first = push(kept, one, "v1", 1)
    assert flows.pull(other, REPOSITORY, "v1") == flows.pulled(first)
    until(lambda: content(kept, first).get("verified"), 20)
    until(lambda: fanned() == 1, 20)
    left = image(2)
    flows.push(one, REPOSITORY, left, "v2")
    until(lambda: fanned() == 2, 20)

    victim.kill()
    already = host.log().count(VERIFIED)
    assert not content(kept, left).get("verified")
    publish(kept, left)
    until(lambda: content(kept, left).get("verified"), 20)
    until(lambda: host.log().count(VERIFIED) > already, 20)
    last = push(kept, other, "v3", 3)
    until(lambda: content(kept, last).get("verified"), 20)
    until(lambda: fanned() == 3, 20)
    for tag, built in (("v1", first), ("v2", left), ("v3", last)):
        assert flows.pull(other, REPOSITORY, tag) == flows.pulled(built)
