"""A rebuild shows nobody another repository's blob, however it was named."""

import orjson
import pytest

from shared.errors import ManifestBlobUnknown
from shared.model.digest import Digest
from shared.model.manifests.manifest import read_manifest
from shared.model.manifests.media_types import OCI_INDEX
from shared.model.names import Tag
from shared.services.content.pushes import Pushes
from shared.services.verification.copies import Copies
from shared.storage import keys
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.support.images import blob
from tests.unit.services.conftest import hold, image_of, parts
from tests.unit.services.rebuild.conftest import A, Again, B, lose

TABLES = (keys.REPOSITORIES, keys.CONTENTS, keys.BLOBS)
SECRET = blob(b"secret of A")
DIGEST = Digest.parse(SECRET.digest)


async def test_a_push_that_was_refused_shows_nothing(
    stores: Stores, prepared: Memory, pushes: Pushes, clock: Clock, rebuild: Again
) -> None:
    """Its body is so large that it is an object, and the push knows nothing of what it names."""
    await hold(stores, SECRET, repository=A)
    await hold(stores, *parts(1), repository=B)
    image = image_of([*parts(1), SECRET], annotations={"text": "x" * 300_000})
    for _ in range(2):
        with pytest.raises(ManifestBlobUnknown):
            await pushes.put(B, image, [Tag("v1")], by=ME)
    clock.move(minutes=5)
    lose(prepared, *TABLES)
    report = await rebuild()
    assert await stores.contents.link(B, DIGEST) is None
    assert not report.revived


@pytest.mark.parametrize("lost", [TABLES, [keys.CONTENTS], [keys.BLOBS]], ids=" ".join)
async def test_a_list_of_referrers_shows_no_blobs(
    stores: Stores, prepared: Memory, pushes: Pushes, clock: Clock, rebuild: Again, lost: list[str]
) -> None:
    """It may name what is not there; as an index it has no blobs, but may say so."""
    await hold(stores, SECRET, repository=A)
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [],
        "blobs": [SECRET.descriptor()],
    }
    index = read_manifest(orjson.dumps(document), OCI_INDEX)
    await pushes.put(B, index, [Tag(f"sha256-{'0' * 64}")], by=ME)
    record = await stores.contents.manifest(B, index.digest, with_body=True)
    assert record
    await Copies(stores).make(B, record)
    clock.move(minutes=5)
    lose(prepared, *lost)
    await rebuild()
    assert await stores.contents.manifest(B, index.digest, with_body=False)
    assert await stores.contents.link(B, DIGEST) is None


async def test_what_was_pushed_when_manifests_were_sparse_shows_nothing(
    stores: Stores, prepared: Memory, clock: Clock, rebuild: Again
) -> None:
    """They are not any more; the manifest's edges still say that the blob was not there."""
    await hold(stores, SECRET, repository=A)
    await hold(stores, *parts(1), repository=B)
    sparse = Pushes(stores, is_sparse_allowed=True)
    await sparse.put(B, image_of([*parts(1), SECRET]), [Tag("v1")], by=ME)
    clock.move(minutes=5)
    lose(prepared, keys.BLOBS)
    await rebuild()
    assert await stores.contents.link(B, DIGEST) is None
