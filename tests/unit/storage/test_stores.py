from datetime import UTC, datetime

from shared.model.digest import Digest
from shared.storage.bodies import Bodies
from shared.storage.rows.records import ManifestRecord
from shared.storage.stores import Stores
from tests.support.app import Memory

AT = datetime(2024, 1, 1, tzinfo=UTC)
DIGEST = Digest.of(b"body")


def manifest(digest: Digest, body: bytes | None, name: str) -> ManifestRecord:
    return ManifestRecord(digest, "life", "a/b", 0, body, name, AT, AT)


async def test_a_body_comes_from_the_process_the_row_or_the_object(
    stores: Stores, memory: Memory, bodies: Bodies
) -> None:
    await memory.objects.put("o", b"of the object", {})
    assert await stores.body(manifest(DIGEST, None, "o")) == b"of the object"
    bodies.keep(Digest.of(b"2"), b"of the process")
    assert await stores.body(manifest(Digest.of(b"2"), b"", "")) == b"of the process"
    assert await stores.body(manifest(Digest.of(b"3"), b"of the row", "")) == (b"of the row")
    assert bodies.get(DIGEST) == b"of the object"


async def test_an_empty_body_is_one(stores: Stores) -> None:
    assert await stores.body(manifest(DIGEST, b"", "")) == b""
