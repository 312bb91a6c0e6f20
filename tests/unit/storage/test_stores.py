from datetime import UTC, datetime

import pytest

from shared.model.digest import Digest
from shared.storage.bodies import Bodies
from shared.storage.ports import Rotten
from shared.storage.rows.records import ManifestRecord
from shared.storage.stores import Stores
from tests.support.app import Memory

AT = datetime(2024, 1, 1, tzinfo=UTC)


def manifest(body: bytes, name: str = "", *, is_inline: bool = True) -> ManifestRecord:
    inline = body if is_inline else None
    return ManifestRecord(Digest.of(body), "life", "a/b", 0, inline, name, AT, AT)


async def test_a_body_comes_from_the_process_the_row_or_the_object(
    stores: Stores, memory: Memory, bodies: Bodies
) -> None:
    await memory.objects.put("o", b"of the object", {})
    of_the_object = manifest(b"of the object", "o", is_inline=False)
    assert await stores.body(of_the_object) == b"of the object"
    assert bodies.get(of_the_object.digest) == b"of the object"
    bodies.keep(Digest.of(b"of the process"), b"of the process")
    of_the_process = manifest(b"of the process", "no such object", is_inline=False)
    assert await stores.body(of_the_process) == b"of the process"
    assert await stores.body(manifest(b"of the row")) == b"of the row"


async def test_an_empty_body_is_one(stores: Stores) -> None:
    assert await stores.body(manifest(b"")) == b""


@pytest.mark.parametrize("is_inline", [True, False], ids=["row", "object"])
async def test_bytes_that_do_not_hash_to_the_digest_are_given_to_nobody(
    stores: Stores, memory: Memory, bodies: Bodies, is_inline: bool
) -> None:
    await memory.objects.put("o", b"rotten", {})
    digest = Digest.of(b"sound")
    record = ManifestRecord(digest, "l", "a/b", 0, b"rotten" if is_inline else None, "o", AT, AT)
    with pytest.raises(Rotten):
        await stores.body(record)
    assert bodies.get(digest) is None
