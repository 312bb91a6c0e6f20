from datetime import UTC, datetime

import pytest

from shared.model.attributes import FREE, Attributes
from shared.model.digest import Digest
from shared.model.manifests.manifest import read_manifest
from shared.model.names import Tag
from shared.storage import keys
from shared.storage.ports import VALUE_BYTES, Row, Value
from shared.storage.rows.records import (
    INLINE_BYTES,
    DeletedRecord,
    Link,
    ManifestRecord,
    TagRecord,
    body_values,
    referrer_values,
    row_body,
)

AT = datetime(2024, 1, 1, tzinfo=UTC)
DIGEST = Digest.of(b"x")
MANIFEST: dict[str, Value] = {"life": "life", "media_type": "a/b", "seen": AT, "pushed": AT}


@pytest.mark.parametrize("attributes", [FREE, Attributes(write_enabled=False)])
def test_a_tag_comes_back_out_of_its_row(attributes: Attributes) -> None:
    tag = TagRecord(Tag("v1"), DIGEST, "a/b", 7, AT, AT, "etag", attributes)
    assert TagRecord.read(Row(keys.tag(tag.name), tag.values(), "etag")) == tag


def test_a_link_comes_back_out_of_its_row() -> None:
    link = Link(DIGEST, 7, "object", AT, "etag")
    assert Link.read(Row(keys.blob(DIGEST), link.values(), "etag")) == link


@pytest.mark.parametrize("size", [0, 1, VALUE_BYTES, VALUE_BYTES + 1, INLINE_BYTES])
def test_a_body_comes_back_out_of_its_values(size: int) -> None:
    body = (bytes(range(256)) * (size // 256 + 1))[:size]
    values = body_values(body)
    assert all(isinstance(value, bytes) and len(value) <= VALUE_BYTES for value in values.values())
    row = Row(keys.manifest(DIGEST), {**MANIFEST, "size": size, **values}, "etag")
    assert ManifestRecord.read(row) == ManifestRecord(
        DIGEST, "life", "a/b", size, body, "", AT, AT, etag="etag"
    )


def test_a_large_manifest_names_its_object() -> None:
    row = Row(keys.manifest(DIGEST), {**MANIFEST, "size": 7, "object": "o"}, "etag")
    assert ManifestRecord.read(row) == ManifestRecord(
        DIGEST, "life", "a/b", 7, None, "o", AT, AT, etag="etag"
    )


def test_a_life_that_is_over_holds_what_the_manifest_held() -> None:
    held: dict[str, Value] = {**MANIFEST, "size": 7, "object": "o", "write_enabled": False}
    times: dict[str, Value] = {"deleted_at": AT, "until": AT}
    own: dict[str, Value] = {**times, "deleted_by": "me", "with_repository": "d"}
    deleted = DeletedRecord.read(Row(keys.deleted(DIGEST, "life"), {**held, **own}))
    assert deleted.kept == held
    assert (deleted.manifest.digest, deleted.manifest.life) == (DIGEST, "life")
    assert (deleted.by, deleted.deletion) == ("me", "d")


def test_a_row_without_a_body_has_none() -> None:
    assert row_body(Row("k")) is None
    assert row_body(Row("k", body_values(b""))) == b""


def test_a_referrer_keeps_its_descriptor_unless_that_is_large() -> None:
    small = read_manifest(b'{"annotations": {"a": "b"}}', "a/b+json")
    large = read_manifest(b'{"annotations": {"a": "%s"}}' % (b"b" * INLINE_BYTES), "a/b+json")
    assert row_body(Row("k", referrer_values(small)))
    assert referrer_values(large) == {"artifact_type": ""}
