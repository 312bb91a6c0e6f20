"""Requests that take so long that their registry is another by their end."""

from collections.abc import AsyncIterator

import pytest

from shared import bootstrap
from shared.storage import keys
from tests.support.app import Site
from tests.support.images import image


@pytest.fixture
def streamed(site: Site, monkeypatch: pytest.MonkeyPatch) -> "Streamed":
    return Streamed(site, monkeypatch)


class Streamed:
    """A body in whose midst the registry is made anew, longer than a minute ago."""

    def __init__(self, site: Site, patch: pytest.MonkeyPatch) -> None:
        self.site, self.patch = site, patch

    async def body(self, content: bytes) -> AsyncIterator[bytes]:
        yield content[:1]
        await self.site.memory.keep_registry(generation="e" * 32)
        self.patch.setattr(bootstrap, "_KEPT_SECONDS", -1)
        yield content[1:]


async def test_an_upload_into_a_registry_that_was_made_anew_is_refused(
    site: Site, streamed: Streamed
) -> None:
    layer = image(seed=1).blobs[0]
    location = await site.start("a")
    path = f"{location}&digest={layer.digest}"
    answer = await site.call("PUT", path, content=streamed.body(layer.content))
    assert answer.status_code == 503, answer.text
    assert "made anew meanwhile" in answer.text
    assert site.memory.keys("blob|") == []
    assert site.memory.rows._tables[keys.BLOBS] == {}


async def test_a_manifest_for_a_registry_that_was_made_anew_is_refused(
    site: Site, streamed: Streamed
) -> None:
    pushed = image(seed=1)
    for blob in pushed.blobs:
        await site.push_blob("a", blob)
    answer = await site.call(
        "PUT",
        "/v2/a/manifests/v1",
        headers={"Content-Type": pushed.manifest.media_type},
        content=streamed.body(pushed.manifest.content),
    )
    assert answer.status_code == 503, answer.text
    assert site.memory.keys("manifest|") == []
