"""State that was written before: each version of the layout that the app still reads."""

import json
from collections.abc import AsyncIterator

import pytest

from shared.storage.rows.registries import _READ
from tests.support import recording
from tests.support.app import NAME, PASSWORD, Memory, Site, open_site
from tests.support.clock import Clock
from tests.support.images import blob

REPOSITORY, TAG = recording.REPOSITORY, recording.TAG


@pytest.fixture(params=_READ, ids=lambda layout: f"layout {layout}")
async def recorded(
    request: pytest.FixtureRequest, environment: None, memory: Memory, clock: Clock
) -> AsyncIterator[Site]:
    text = (recording.FOLDER / f"layout-{request.param}.json").read_text()
    await recording.load(memory, json.loads(text))
    async with open_site(memory, clock, is_new=False) as site:
        yield site


async def test_what_was_pushed_is_pulled(recorded: Site) -> None:
    image = recording.image()
    answer = await recorded.call("GET", f"/v2/{REPOSITORY}/manifests/{TAG}")
    assert (answer.status_code, answer.content) == (200, image.manifest.content)
    for content in image.blobs:
        answer = await recorded.call("GET", f"/v2/{REPOSITORY}/blobs/{content.digest}")
        assert (answer.status_code, answer.content) == (200, content.content)


async def test_what_was_listed_is_listed(recorded: Site) -> None:
    assert (await recorded.call("GET", "/v2/_catalog")).json() == {"repositories": [REPOSITORY]}
    assert (await recorded.call("GET", f"/v2/{REPOSITORY}/tags/list")).json()["tags"] == [TAG]
    path = f"/v2/{REPOSITORY}/referrers/{recording.image().digest}"
    (shown,) = (await recorded.call("GET", path)).json()["manifests"]
    assert shown["digest"] == recording.referrer().digest


async def test_who_could_log_in_can(recorded: Site) -> None:
    headers = await recorded.bearer(f"repository:{REPOSITORY}:pull")
    path = f"/v2/{REPOSITORY}/manifests/{TAG}"
    assert (await recorded.call("GET", path, auth=None, headers=headers)).status_code == 200
    assert (await recorded.call("GET", "/v2/", auth=(NAME, PASSWORD + "x"))).status_code == 401


async def test_it_goes_on_from_there(recorded: Site) -> None:
    image = recording.image()
    await recorded.push_manifest(REPOSITORY, image.manifest, "v2")
    await recorded.push_blob("other", blob(image.blobs[0].content))
    answer = await recorded.call("DELETE", f"/v2/{REPOSITORY}/manifests/{image.digest}")
    assert answer.status_code == 202
    answer = await recorded.call("GET", f"/v2/{REPOSITORY}/manifests/v2")
    assert answer.status_code == 404
