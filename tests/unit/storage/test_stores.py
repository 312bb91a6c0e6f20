from datetime import UTC, datetime

from shared.model.digest import Digest
from shared.storage.bodies import Bodies
from shared.storage.rows.records import ManifestRecord
from shared.storage.stores import Stores
from tests.support.app import Memory

AT = datetime(2024, 1, 1, tzinfo=UTC)
DIGEST = Digest.of(b"body")


async def test_a_body_comes_from_the_process_the_row_or_the_object(
    stores: Stores, memory: Memory, bodies: Bodies
) -> None:
    await memory.objects.put("o", b"of the object", {})
    assert await stores.body(ManifestRecord(DIGEST, "", 0, None, "o", AT)) == b"of the object"
    bodies.keep(Digest.of(b"2"), b"of the process")
    assert (
        await stores.body(ManifestRecord(Digest.of(b"2"), "", 0, b"", "", AT)) == b"of the process"
    )
    assert await stores.body(ManifestRecord(Digest.of(b"3"), "", 0, b"of the row", "", AT)) == (
        b"of the row"
    )
    assert bodies.get(DIGEST) == b"of the object"


async def test_an_empty_body_is_one(stores: Stores) -> None:
    assert await stores.body(ManifestRecord(DIGEST, "", 0, b"", "", AT)) == b""
