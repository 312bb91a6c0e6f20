"""Storage that says nothing: whoever asks hears within seconds that we are busy."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from infra.devhost.storage import Azurite
from tests.host.conftest import Start
from tests.host.impatient_host import PATIENCE_SECONDS, WAITING_SECONDS
from tests.support import flows
from tests.support.hosts import settings_of
from tests.support.images import Image, image
from tests.support.waiting import until

pytestmark = pytest.mark.emulator

MODULE = "tests.host.impatient_host"
REPOSITORY = "hanging/app"
LATE = 4.0
"""How much later than it has to an answer may come."""


@contextmanager
def silent(storage: Azurite) -> Iterator[None]:
    """Let storage take connections, and answer nothing."""
    assert storage.pid
    os.kill(storage.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(storage.pid, signal.SIGCONT)


def requests(client: httpx.Client, pushed: Image) -> list[httpx.Request]:
    """Give requests that have to ask storage, some of them for the same."""
    repository, layer = f"/v2/{REPOSITORY}", pushed.layers[0].blob.digest
    kind = {"Content-Type": pushed.manifest.media_type}
    upload = flows.start_upload(client, REPOSITORY)
    return [
        *(client.build_request("GET", f"{repository}/manifests/v1") for _ in range(3)),
        client.build_request("HEAD", f"{repository}/manifests/v1"),
        client.build_request("GET", f"{repository}/manifests/{pushed.digest}"),
        client.build_request(
            "PUT", f"{repository}/manifests/v2", headers=kind, content=pushed.manifest.content
        ),
        client.build_request("GET", f"{repository}/blobs/{layer}"),
        client.build_request("HEAD", f"{repository}/blobs/{layer}"),
        client.build_request("GET", f"{repository}/tags/list"),
        client.build_request("GET", f"{repository}/referrers/{layer}"),
        client.build_request("GET", upload),
    ]


async def answered(asked: list[httpx.Request]) -> list[httpx.Response]:
    async with httpx.AsyncClient(timeout=60) as client:
        return await asyncio.gather(*(client.send(each) for each in asked))


def test_who_waits_for_storage_that_hangs_is_told_to_come_again(
    start: Start, tmp_path: Path
) -> None:
    with Azurite(tmp_path / "storage") as storage:
        own = {**settings_of(storage), "REGISTRY_BLOB_REDIRECTS": "false"}
        _, registry = start(module=MODULE, **own)
        pushed = image(1)
        flows.push(registry, REPOSITORY, pushed, "v1")
        with flows.connect(registry, REPOSITORY) as client:
            asked = requests(client, pushed)
            with silent(storage):
                began = time.monotonic()
                answers = asyncio.run(answered(asked))
                seconds = time.monotonic() - began
            told = {str(each.request.url): each.status_code for each in answers}
            assert set(told.values()) == {503}, told
            assert all("Retry-After" in each.headers for each in answers)
            assert seconds < PATIENCE_SECONDS + WAITING_SECONDS + LATE
            until(lambda: client.get(asked[0].url).status_code == 200)
