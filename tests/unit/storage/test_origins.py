from datetime import UTC, datetime

import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.storage.origins import BLOB, CANCELLED, MANIFEST, Origin
from shared.storage.ports import Facts

MADE = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
REPOSITORY = RepositoryName("team/app")
DIGEST = Digest.of(b"content")


@pytest.mark.parametrize(
    "origin",
    [
        Origin(BLOB, MADE, "call", REPOSITORY, DIGEST),
        Origin(CANCELLED, MADE, "call", REPOSITORY),
        Origin(MANIFEST, MADE, "call", REPOSITORY, DIGEST, "application/vnd.a.b+json"),
        Origin(MANIFEST, MADE, "call", REPOSITORY, DIGEST, "Grüße; 世界\r\nX: %41"),
    ],
    ids=lambda origin: f"{origin.kind} {len(origin.media_type)}",
)
def test_an_origin_comes_out_of_metadata_as_it_went_in(origin: Origin) -> None:
    metadata = origin.metadata()

    assert Origin.read(Facts(7, metadata)) == origin
    for name, value in metadata.items():
        assert name.isidentifier()
        assert value.isascii()
        assert value.isprintable()
        assert value == value.strip() != ""
