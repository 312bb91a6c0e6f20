"""Lists of referrers that clients keep themselves, under the specification's tag for them."""

import pytest

from shared.errors import ManifestBlobUnknown
from shared.model.manifests.manifest import Manifest, read_manifest
from shared.model.manifests.media_types import OCI_INDEX
from shared.model.names import Tag
from shared.services.content.pushes import Pushes
from tests.support.causes import ME
from tests.support.images import blob, document
from tests.unit.services.conftest import LATEST, REPOSITORY

GONE = blob(b"a referrer that was deleted")
OF_A_SUBJECT = Tag("sha256-" + "a" * 64)


def list_of_gone() -> Manifest:
    fields = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [GONE.descriptor()]}
    return read_manifest(document(fields, OCI_INDEX).content, OCI_INDEX)


@pytest.mark.parametrize("tag", [OF_A_SUBJECT, Tag("sha512-" + "0" * 64)])
async def test_a_list_of_referrers_may_name_one_that_is_gone(pushes: Pushes, tag: Tag) -> None:
    pushed = await pushes.put(REPOSITORY, list_of_gone(), [tag], by=ME)

    assert pushed.tags == (tag,)


@pytest.mark.parametrize(
    "tags",
    [
        [],
        [LATEST],
        [OF_A_SUBJECT, LATEST],
        [Tag("sha256-" + "a" * 63)],
        [Tag("sha256-" + "a" * 64 + ".sig")],
        [Tag("sha384-" + "a" * 64)],
    ],
)
async def test_any_other_index_may_not(pushes: Pushes, tags: list[Tag]) -> None:
    with pytest.raises(ManifestBlobUnknown):
        await pushes.put(REPOSITORY, list_of_gone(), tags, by=ME)
