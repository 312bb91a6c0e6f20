"""What is not changed: other things under such a tag, and what would be too much for a list."""

import json

import orjson
import pytest

from shared.model.manifests import manifest as manifest_model
from shared.model.manifests.manifest import read_manifest
from shared.model.manifests.media_types import DOCKER_LIST, OCI_INDEX
from shared.model.names import referrers_tag
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.events import fallback_lists
from tests.support.images import document
from tests.unit.services.conftest import (
    REPOSITORY,
    described_as,
    image_of,
    index_of,
)
from tests.unit.services.events.fallback_lists.conftest import (
    NEW,
    OLD,
    ONE,
    STRANGER,
    SUBJECT,
    TAG,
    WorkOff,
    listed,
    push,
)


async def test_a_docker_list_under_the_tag_is_left_alone(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff
) -> None:
    fields = {"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": []}
    await push(pushes, read_manifest(document(fields, DOCKER_LIST).content, DOCKER_LIST), TAG)
    await push(pushes, NEW)
    assert await work_off() == 2
    assert await listed(manifests) == []


async def test_a_list_has_no_more_than_fits_a_manifest(
    pushes: Pushes,
    manifests: Manifests,
    work_off: WorkOff,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    room = len(index_of([]).body) + len(orjson.dumps(NEW.as_referrer())) + 1
    await push(pushes, OLD)
    await push(pushes, NEW)
    for limit, count in ((room - 10, 0), (room, 1)):
        monkeypatch.setattr(fallback_lists, "MANIFEST_BYTES", limit)
        await push(pushes, index_of([]), TAG)
        await work_off()
        assert len(await listed(manifests)) == count


async def test_a_referrer_too_large_for_a_list_hides_no_other(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [NEW, OLD]
    large = image_of(ONE, subject=described_as(SUBJECT), annotations={"by": "x" * 2_000})
    assert str(large.digest) < max(str(other.digest) for other in others)
    for referrer in (large, *others):
        await push(pushes, referrer)
    monkeypatch.setattr(fallback_lists, "MANIFEST_BYTES", 1_500)
    await push(pushes, index_of([]), TAG)
    await work_off()
    assert set(await listed(manifests)) == {other.digest for other in others}


async def test_a_list_has_no_more_than_are_kept_in_step(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fallback_lists, "LISTED", 2)
    for manifest in (STRANGER, OLD, NEW):
        await push(pushes, manifest)
    await push(pushes, index_of([STRANGER]), TAG)
    await work_off()
    assert len(await listed(manifests)) == 2


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(f'"x": {"[" * 300}{"]" * 300}', id="too deep to write"),
        pytest.param(f'"x": [{",".join(["1e15"] * 60)}]', id="larger when written"),
        pytest.param(f'"blobs": [{json.dumps(ONE[0].descriptor())}]', id="with a blob"),
    ],
)
async def test_what_would_be_no_manifest_any_more_is_left_alone(
    pushes: Pushes,
    manifests: Manifests,
    work_off: WorkOff,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    body: str,
) -> None:
    monkeypatch.setattr(manifest_model, "REFERENCES", 1)
    monkeypatch.setattr(fallback_lists, "LISTED", 1)
    monkeypatch.setattr(fallback_lists, "MANIFEST_BYTES", 1_000)
    fields = f'{{"schemaVersion": 2, "mediaType": "{OCI_INDEX}", "manifests": [], {body}}}'
    theirs = read_manifest(fields.encode(), OCI_INDEX)
    await push(pushes, theirs, TAG)
    await push(pushes, NEW)
    assert await work_off() == 2
    assert (await manifests.find(REPOSITORY, TAG)).digest == theirs.digest
    assert f"{TAG} cannot be kept in step" in caplog.text


async def test_a_tag_of_an_image_by_its_own_digest_is_left_alone(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff
) -> None:
    await push(pushes, STRANGER)
    image = index_of([STRANGER])
    own = referrers_tag(image.digest)
    await push(pushes, image, own)
    await push(pushes, image_of(ONE, subject=described_as(image)))
    assert await work_off() == 3
    assert (await manifests.find(REPOSITORY, own)).digest == image.digest


async def test_a_list_that_is_a_referrer_itself_is_left_alone(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff
) -> None:
    theirs = index_of([], subject=described_as(SUBJECT))
    await push(pushes, theirs, TAG)
    assert await work_off() == 1
    assert (await manifests.find(REPOSITORY, TAG)).digest == theirs.digest
