"""What is pushed is verified in storage, and what rots there is healed by the next push."""

import mmap
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueClient, TextBase64EncodePolicy

from infra.devhost.storage import Azurite
from shared.storage.messages.verifying import ToVerify
from tests.support import flows
from tests.support.emulators import scratch
from tests.support.hosts import Host, Registry, running, settings_of
from tests.support.images import Blob, blob, image, random_bytes
from tests.support.waiting import until

pytestmark = [
    pytest.mark.protocol,
    pytest.mark.direct("what is verified is in storage, by what no request asks for"),
]

SECONDS = 30
HERE, THERE = "rot/here", "rot/there"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with scratch("rot") as folder:
        yield folder


@pytest.fixture(scope="module")
def kept(folder: Path) -> Iterator[Azurite]:
    """A storage of its own, whose files are ours to spoil."""
    with Azurite(folder / "data") as emulator:
        yield emulator


@pytest.fixture(scope="module")
def served_here(kept: Azurite, folder: Path) -> Iterator[tuple[Host, Registry]]:
    with running(settings_of(kept), folder / "log") as pair:
        yield pair


def content(kept: Azurite, digest: str) -> dict[str, object]:
    """Read the row that tells where a blob's bytes are."""
    with TableServiceClient.from_connection_string(kept.connection_string) as tables:
        table = tables.get_table_client("blobs")
        query = "RowKey eq 'content'"
        rows = [dict(row) for row in table.query_entities(query)]
    return next((row for row in rows if str(row["PartitionKey"]).endswith(digest)), {})


def withdrawn(kept: Azurite, repository: str) -> bool:
    with TableServiceClient.from_connection_string(kept.connection_string) as tables:
        rows = tables.get_table_client("contents").query_entities("event eq 'BlobWithdrawn'")
        encoded = repository.replace("/", "-")
        return any(str(row["PartitionKey"]).endswith(encoded) for row in rows)


def answers(client: httpx.Client, repository: str, digest: str, status: int) -> bool:
    """Tell whether a HEAD of a blob is answered so."""
    return client.head(f"/v2/{repository}/blobs/{digest}").status_code == status


def rot(folder: Path, bytes_of: Blob) -> None:
    """Change a byte of a blob in the emulator's files."""
    start = bytes_of.content[:64]
    for file in (folder / "data" / "__blobstorage__").iterdir():
        with file.open("r+b") as opened:
            if not file.stat().st_size:
                continue
            with mmap.mmap(opened.fileno(), 0) as data:
                place = data.find(start)
                while place >= 0:
                    data[place + 32] ^= 0xFF
                    place = data.find(start)


def ask(kept: Azurite, name: str) -> None:
    """Let the object be verified again."""
    policy = TextBase64EncodePolicy()
    with QueueClient.from_connection_string(
        kept.connection_string, "verification", message_encode_policy=policy
    ) as queue:
        queue.send_message(ToVerify.named(name).text())


def overwrite(kept: Azurite, name: str) -> None:
    """Write other bytes under the name of an object, as somebody with the account's key might."""
    with BlobServiceClient.from_connection_string(kept.connection_string) as account:
        object_ = account.get_blob_client("content", name)
        metadata = object_.get_blob_properties().metadata
        object_.upload_blob(b"other bytes", overwrite=True, metadata=metadata)


@pytest.mark.parametrize("how", ["rotten", "overwritten"])
def test_a_push_is_verified_and_what_rots_is_healed_wherever_it_is_used(
    kept: Azurite, served_here: tuple[Host, Registry], folder: Path, how: str
) -> None:
    _, registry = served_here
    pushed = image(seed=len(how), layers=1)
    layer = pushed.blobs[-1]
    for repository in (HERE, THERE):
        flows.push(registry, repository, pushed, how)
    until(lambda: content(kept, layer.digest).get("verified"), SECONDS)

    name = str(content(kept, layer.digest)["object"])
    if how == "rotten":
        rot(folder, layer)
        ask(kept, name)
    else:
        overwrite(kept, name)
    with flows.connect(registry, HERE) as here, flows.connect(registry, THERE) as there:
        for client, repository in ((here, HERE), (there, THERE)):
            until(partial(answers, client, repository, layer.digest, 404), SECONDS)
            assert withdrawn(kept, repository)
        flows.push_blob(there, THERE, layer)
        for client, repository in ((here, HERE), (there, THERE)):
            until(partial(answers, client, repository, layer.digest, 200), SECONDS)
            assert flows.pull_blob(client, repository, layer.digest) == layer.content
    until(lambda: content(kept, layer.digest).get("verified"), SECONDS)


def test_an_upload_that_nothing_uses_is_verified_too(
    kept: Azurite, served_here: tuple[Host, Registry]
) -> None:
    _, registry = served_here
    alone = blob(random_bytes(300_000, 5))
    with flows.connect(registry, HERE) as client:
        flows.push_blob(client, HERE, alone)
    until(lambda: content(kept, alone.digest).get("verified"), SECONDS)
