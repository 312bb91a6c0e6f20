"""What a list costs those who keep it in step: not yet bounded as it should be."""

from typing import Any

import pytest

from shared.model.manifest import read_manifest
from shared.model.media_types import OCI_INDEX, OCI_MANIFEST
from shared.services.content.pushes import Pushes
from shared.storage.ports import Row
from tests.support.app import Memory
from tests.support.images import Blob
from tests.unit.services.conftest import described_as, image_of, index_of
from tests.unit.services.events.fallback_lists.conftest import ONE, SUBJECT, TAG, WorkOff, push


@pytest.mark.xfail(reason="each list that gives way stays, with an edge for all that it lists")
async def test_a_referrer_costs_no_more_rows_where_there_are_many(
    pushes: Pushes, memory: Memory, work_off: WorkOff
) -> None:
    """Half a kilobyte is pushed each time; N times it leave N * N / 2 rows, and as many bodies."""
    await push(pushes, index_of([]), TAG)
    grown: list[int] = []
    for number in range(100):
        before = len(memory.keys(""))
        subject, which = described_as(SUBJECT), {"number": str(number)}
        await push(pushes, image_of(ONE, subject=subject, annotations=which))
        await work_off()
        grown.append(len(memory.keys("")) - before)
    assert grown[-1] < 2 * grown[1]


@pytest.mark.xfail(reason="a list may name what is missing, however much that is")
async def test_a_list_of_nothing_costs_little(
    pushes: Pushes, memory: Memory, work_off: WorkOff, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand names in 1.3 MB are 40,000 reads, and 10,000 rows that stay."""
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
    await push(pushes, read_manifest(fields, OCI_INDEX), TAG)
    await work_off()
    assert reads < 1_000
    assert len(memory.keys("edge|")) < 1_000


def described(one: Blob) -> bytes:
    return b'{"mediaType":"%s","digest":"%s","size":1}' % (
        one.media_type.encode(),
        one.digest.encode(),
    )
