"""The sweep over both stores: it finds the same in either."""

import asyncio
from datetime import timedelta
from types import SimpleNamespace

import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName, Tag
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.garbage import garbage
from shared.services.garbage.garbage import Garbage
from shared.services.sweep import blobs, contents, index
from shared.services.sweep import sweep as sweeping
from shared.services.sweep.findings import Finding, Told, What
from shared.services.sweep.sweep import Sweep
from shared.services.verification.healing import Healing
from shared.storage.memory.rows import MemoryRows
from shared.storage.ports import Rows
from shared.storage.stores import Stores
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.unit.services.conftest import hold, image_of, parts

A, B = RepositoryName("a/b"), RepositoryName("a-b")
DAY, SHORT = timedelta(days=1), timedelta(seconds=0.1)


async def test_it_finds_the_same_in_either(
    stores: Stores, empty_rows: Rows, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    two, (unused,) = parts(2), parts(1, "unused")
    image = image_of(two)
    for repository in (A, B):
        await hold(stores, *two, unused, repository=repository)
        pushes = Pushes(stores, is_sparse_allowed=False)
        await pushes.put(repository, image, [Tag("v1"), Tag("v2")], by=ME)
    await Manifests(stores, timedelta(days=7)).delete(A, image.digest, by=ME)
    await stores.holdings.join(Digest.parse(two[0].digest), RepositoryName("c"), await _of(stores))
    for module in (blobs, contents, index, garbage):
        monkeypatch.setattr(module, "ages", SimpleNamespace(L=SHORT))
    monkeypatch.setattr(sweeping, "_PAGE", 5)
    clock.move(seconds=2.1)
    if not isinstance(empty_rows, MemoryRows):
        await asyncio.sleep(2.1)

    told = Told(Garbage(stores, timedelta()).collect, Healing(stores).do)
    sweep = Sweep(stores, told, grace=timedelta(), kept=DAY, lifetime=DAY)
    found = {(it.what, it.where) for it in await _round(sweep)}
    again = {(it.what, it.where) for it in await _round(sweep)}

    told_of = {(What.LISTED_FOR_NOTHING, A), (What.EVENT, A), (What.EVENT, B)}
    mended = {(What.NOT_AMONG_KEPT, A), (What.LINK, A), (What.LINK, B)}
    assert found == told_of | mended | {(What.HOLDER, two[0].digest)}
    assert again == told_of
    assert await stores.index.kept("", 9) == [A]


async def _of(stores: Stores) -> str:
    link = await stores.contents.link(B, Digest.parse(parts(1)[0].digest))
    assert link
    return link.object


async def _round(sweep: Sweep) -> list[Finding]:
    swept = await sweep.go_on()
    found = [*swept.findings]
    while swept.position:
        swept = await sweep.go_on()
        found += swept.findings
    return found
