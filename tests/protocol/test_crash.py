"""The host is killed in the middle of an upload: what it acknowledged is still there."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support import flows
from tests.support.hosts import Host, Registry, running
from tests.support.images import blob, image, random_bytes

pytestmark = pytest.mark.protocol

MIB = 1 << 20
REPOSITORY = "crash/blob"


@pytest.fixture
def pair(settings: dict[str, str], tmp_path: Path) -> Iterator[tuple[Host, Registry]]:
    with running(settings, tmp_path / "log") as pair:
        yield pair


def cut_off(host: Host, piece: bytes) -> Iterator[bytes]:
    """Send half of a piece, kill the host, and send the rest."""
    yield piece[: len(piece) // 2]
    host.kill()
    yield piece[len(piece) // 2 :]


def send_until_the_kill(client: httpx.Client, location: str, host: Host, piece: bytes) -> None:
    """Send a piece during which the host is killed; a front that outlives it may still say so."""
    try:
        answer = client.patch(location, content=cut_off(host, piece))
    except httpx.TransportError:
        return
    assert answer.status_code >= 500, answer


def test_an_acknowledged_piece_survives_a_kill(pair: tuple[Host, Registry]) -> None:
    host, registry = pair
    content = blob(random_bytes(12 * MIB, 1))
    first, second = content.content[: 5 * MIB], content.content[5 * MIB :]
    with flows.connect(registry, REPOSITORY) as client:
        location = flows.start_upload(client, REPOSITORY)
        location = flows.send_piece(client, location, first, 0)
        send_until_the_kill(client, location, host, second)
    host.start()
    with flows.connect(registry, REPOSITORY) as client:
        status = client.get(location)
        assert (status.status_code, status.headers.get("Range")) == (204, f"0-{len(first) - 1}")
        location = flows.send_piece(client, status.headers["Location"], second, len(first))
        assert flows.finish_upload(client, location, content.digest).status_code == 201
        assert flows.pull_blob(client, REPOSITORY, content.digest) == content.content


def test_a_push_that_was_cut_off_succeeds_when_repeated(pair: tuple[Host, Registry]) -> None:
    host, registry = pair
    built = image(2, size=4 * MIB)
    layer = built.layers[0].blob
    with flows.connect(registry, REPOSITORY) as client:
        location = flows.start_upload(client, REPOSITORY)
        send_until_the_kill(client, location, host, layer.content)
        host.start()
    with flows.connect(registry, REPOSITORY) as client:
        assert client.head(f"/v2/{REPOSITORY}/blobs/{layer.digest}").status_code == 404
    flows.push(registry, REPOSITORY, built, "v1")
    assert flows.pull(registry, REPOSITORY, "v1") == flows.pulled(built)


def test_what_was_pushed_before_a_kill_is_pulled_after_it(pair: tuple[Host, Registry]) -> None:
    host, registry = pair
    built = image(3)
    flows.push(registry, REPOSITORY, built, "v2")
    host.kill()
    host.start()
    assert flows.pull(registry, REPOSITORY, "v2") == flows.pulled(built)


@pytest.mark.parametrize("delay", [0, 0.01, 0.03])
def test_a_finish_that_was_cut_off_leaves_all_or_nothing(
    delay: float, pair: tuple[Host, Registry]
) -> None:
    host, registry = pair
    content = blob(random_bytes(MIB, 10 + int(delay * 100)))
    path = f"/v2/{REPOSITORY}/blobs/{content.digest}"
    with flows.connect(registry, REPOSITORY) as client, ThreadPoolExecutor() as pool:
        location = flows.start_upload(client, REPOSITORY)
        location = flows.send_piece(client, location, content.content, 0)
        finishing = pool.submit(flows.finish_upload, client, location, content.digest)
        time.sleep(delay)
        host.kill()
        is_acknowledged = finishing.exception() is None and finishing.result().status_code == 201
    host.start()
    with flows.connect(registry, REPOSITORY) as client:
        found = client.get(path, follow_redirects=True)
        assert found.status_code == 200 or (found.status_code == 404 and not is_acknowledged)
        assert found.status_code == 404 or found.content == content.content
        again = flows.finish_upload(client, location, content.digest).status_code
        assert again == 201 or (again == 404 and found.status_code == 404)
        if again == 404:  # the object was made, and nothing that shows it: begun again
            flows.push_blob(client, REPOSITORY, content)
        assert flows.pull_blob(client, REPOSITORY, content.digest) == content.content
