"""A crowd that pushes one tag at once: all get in, and soon."""

import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import httpx
import pytest

from tests.support import flows, images
from tests.support.hosts import Registry
from tests.support.images import Blob, Image

pytestmark = [pytest.mark.protocol, pytest.mark.xdist_group("load")]

CROWD = 64
TIMES = 5
"""How many times as long as one after the other all of them may take at once."""


@pytest.fixture(scope="module")
def image(registry: Registry) -> Image:
    made = images.image(seed=64, layers=2)
    for name in ("crowd/own", "crowd/same"):
        with flows.connect(registry, name) as client:
            for blob in made.blobs:
                flows.push_blob(client, name, blob)
    return made


def crowd(registry: Registry, name: str, manifests: list[Blob]) -> list[tuple[int, float]]:
    """Push all at once; give each answer's status, and how long it took."""
    header = {"Authorization": flows.authorization(registry, f"repository:{name}:pull,push")}
    with httpx.Client(base_url=registry.url, headers=header, timeout=60) as client:

        def push(manifest: Blob) -> tuple[int, float]:
            began = time.perf_counter()
            answer = flows.push_manifest(client, name, manifest, "latest")
            return answer.status_code, time.perf_counter() - began

        with ThreadPoolExecutor(CROWD) as pool:
            return list(pool.map(push, manifests))


@pytest.mark.parametrize("name", ["crowd/own", "crowd/same"])
def test_all_of_a_crowd_get_in_soon(registry: Registry, image: Image, name: str) -> None:
    content, media_type = image.manifest.content, image.manifest.media_type
    own = [images.blob(content + b" " * number, media_type) for number in range(CROWD)]
    manifests = own if name == "crowd/own" else [image.manifest] * CROWD
    alone = median(crowd(registry, name, manifests[:1])[0][1] for _ in range(9))
    answers = crowd(registry, name, manifests)
    assert [status for status, _ in answers] == [201] * CROWD
    assert max(seconds for _, seconds in answers) < TIMES * CROWD * alone
