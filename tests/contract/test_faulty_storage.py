"""The relay that breaks calls: each fault does to the emulator what it says, and no more."""

import uuid
from collections.abc import Iterator

import pytest
from azure.core.exceptions import AzureError
from azure.data.tables import TableClient, TableServiceClient

from infra.devhost.storage import Azurite
from tests.support.faulty_storage import Chances, Fault, FaultyStorage, faulty
from tests.support.waiting import until

pytestmark = pytest.mark.emulator

EFFECT = {Fault.AFTER, Fault.DENIED, Fault.SLOW, Fault.LATE}
ANSWERED = {None, Fault.SLOW}


@pytest.fixture
def relay(emulator: Azurite) -> Iterator[FaultyStorage]:
    with faulty(emulator, Chances(seconds=0.2)) as relay:
        yield relay


@pytest.fixture
def table(emulator: Azurite, relay: FaultyStorage) -> Iterator[TableClient]:
    """A table, as an app sees it that repeats nothing."""
    name = f"t{uuid.uuid4().hex}"
    with TableServiceClient.from_connection_string(emulator.connection_string) as service:
        service.create_table(name)
    with TableClient.from_connection_string(relay.connection_string, name, retry_total=0) as table:
        yield table


@pytest.mark.parametrize("fault", [None, *Fault])
def test_a_fault_does_what_it_says(
    fault: Fault | None, table: TableClient, relay: FaultyStorage
) -> None:
    relay.chances.of = {fault: 1.0} if fault else {}
    try:
        table.create_entity({"PartitionKey": "p", "RowKey": "r"})
    except AzureError:
        assert fault not in ANSWERED
    else:
        assert fault in ANSWERED

    relay.chances.of = {}
    if fault is None or fault in EFFECT:
        until(lambda: [*table.list_entities()])
    else:
        assert not [*table.list_entities()]


def test_a_service_that_is_cut_off_comes_back(table: TableClient, relay: FaultyStorage) -> None:
    with relay.without("table"), pytest.raises(AzureError):
        table.create_entity({"PartitionKey": "p", "RowKey": "r"})

    table.create_entity({"PartitionKey": "p", "RowKey": "r"})

    assert relay.counts["table", "before"] == 1


def test_a_seed_brings_the_same_faults_back() -> None:
    chances = dict.fromkeys(Fault, 0.1)
    draws = [[Chances(chances, seed=seed).draw() for _ in range(1)] for seed in range(50)]

    assert draws == [[Chances(chances, seed=seed).draw() for _ in range(1)] for seed in range(50)]
    assert len({draw for (draw,) in draws}) > len(Fault) / 2


def test_large_bodies_pass_whole(emulator: Azurite, relay: FaultyStorage) -> None:
    from azure.storage.blob import ContainerClient  # noqa: PLC0415 - one test needs it

    content = bytes(range(256)) * (3 << 12)
    with ContainerClient.from_connection_string(relay.connection_string, uuid.uuid4().hex) as there:
        there.create_container()
        blob = there.upload_blob("a/b%2F c", content)
        assert blob.download_blob().readall() == content
        assert blob.get_blob_properties().size == len(content)
        blob.delete_blob()
        assert not blob.exists()
