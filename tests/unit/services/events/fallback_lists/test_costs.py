"""What a list costs those who keep it in step."""

from typing import Any

import pytest

from shared.errors import ManifestBlobUnknown
from shared.model.manifests.manifest import read_manifest
from shared.model.manifests.media_types import OCI_INDEX, OCI_MANIFEST
from shared.services.content.pushes import Pushes
from shared.services.events import fallback_lists
from shared.storage.ports import Row
from tests.support.app import Memory
from tests.support.images import Blob
from tests.unit.services.conftest import described_as, image_of, index_of
from tests.unit.services.events.fallback_lists.conftest import ONE, SUBJECT, TAG, WorkOff, push


async def test_a_list_that_has_grown_long_costs_no_more(
    pushes: Pushes, memory: Memory, work_off: WorkOff, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each list that gives way stays, with an edge for all that it lists."""
    monkeypatch.setattr(fallback_lists, "LISTED", 10)
    await push(pushes, index_of([]), TAG)
    grown: list[int] = []
    for number in range(20):
        before = len(memory.keys(""))
        subject, which = described_as(SUBJECT), {"number": str(number)}
        await push(pushes, image_of(ONE, subject=subject, annotations=which))
        await work_off()
        grown.append(len(memory.keys("")) - before)
    assert max(grown[10:]) <= grown[0] < grown[9]


async def test_a_long_list_of_nothing_is_refused_at_little_cost(
    pushes: Pushes, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand names in 1.3 MB would be 40,000 reads, and 10,000 rows that stay."""
    get, reads = memory.rows.get, 0

    async def counted(*arguments: Any) -> Row | None:
        nonlocal reads
        reads += 1
        return await get(*arguments)

    monkeypatch.setattr(memory.rows, "get", counted)
    away = [Blob(b"", OCI_MANIFEST, f"sha256:{number:064x}") for number in range(1_000)]
    fields = index_of([]).body.replace(
        b'"manifests":[]', b'"manifests":[%s]' % b",".join(described(one) for one in away)
    )
    with pytest.raises(ManifestBlobUnknown):
        await push(pushes, read_manifest(fields, OCI_INDEX), TAG)
    assert reads < 1_000
    assert memory.keys("edge|") == []


def described(one: Blob) -> bytes:
    return b'{"mediaType":"%s","digest":"%s","size":1}' % (
        one.media_type.encode(),
        one.digest.encode(),
    )
