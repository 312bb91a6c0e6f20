"""A pull that is cut off and goes on where it stopped."""

import httpx
import pytest

from tests.support import flows
from tests.support.hosts import Registry
from tests.support.images import blob, random_bytes

pytestmark = pytest.mark.protocol

MIB = 1 << 20


@pytest.mark.parametrize("how", ["registry", "streaming_registry"])
def test_a_cut_pull_goes_on_with_a_range(how: str, request: pytest.FixtureRequest) -> None:
    registry: Registry = request.getfixturevalue(how)
    content = blob(random_bytes(3 * MIB, 1))
    with flows.connect(registry, "resumed/blob") as client:
        flows.push_blob(client, "resumed/blob", content)
        path = f"/v2/resumed/blob/blobs/{content.digest}"
        assert client.get(path).status_code == (307 if how == "registry" else 200)
        start = read_some(client, path, MIB)
        answer = client.get(path, headers={"Range": f"bytes={len(start)}-"}, follow_redirects=True)
    assert answer.status_code == 206
    last = content.size - 1
    assert answer.headers["Content-Range"] == f"bytes {len(start)}-{last}/{content.size}"
    assert start + answer.content == content.content


def read_some(client: httpx.Client, path: str, enough: int) -> bytes:
    """Read a part of a body, then hang up."""
    read = b""
    with client.stream("GET", path, follow_redirects=True) as answer:
        assert answer.status_code == 200
        for piece in answer.iter_bytes(64 * 1024):
            read += piece
            if len(read) >= enough:
                return read
    raise AssertionError("the body ended too early")
