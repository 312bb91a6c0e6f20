import asyncio
import threading
from typing import Any

import orjson
import pytest

from shared.model.digest import Digest
from shared.model.manifests.manifest import Manifest, read_manifest
from shared.model.page import Page
from shared.services.content import referrers
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.content.referrers import Referrers
from shared.services.turns import reading
from shared.storage import keys
from shared.storage.rows.records import INLINE_BYTES
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.unit.conftest import GENERATION
from tests.unit.services.conftest import REPOSITORY, described_as, hold, image_of, parts

TWO = parts(2)
SUBJECT = image_of(TWO)


def referrer(name: str, artifact_type: str = "a/b", size: int = 0) -> Manifest:
    return image_of(
        TWO,
        subject=described_as(SUBJECT),
        artifactType=artifact_type,
        annotations={"name": name, "long": "x" * size},
    )


@pytest.fixture(autouse=True)
async def held(stores: Stores) -> None:
    await hold(stores, *TWO)


async def listed(
    stores: Stores, artifact_type: str = "", after: str = "", limit: int = 10
) -> Page[dict[str, object]]:
    page = await Referrers(stores).page(
        REPOSITORY, SUBJECT.digest, artifact_type=artifact_type, after=after, limit=limit
    )
    return Page(orjson.loads(orjson.dumps(page.items)), page.has_more, page.last)


async def test_referrers_are_listed_with_their_descriptors(stores: Stores, pushes: Pushes) -> None:
    pushed = [referrer("one"), referrer("two", "c/d"), referrer("three")]
    for manifest in pushed:
        await pushes.put(REPOSITORY, manifest, [], by=ME)
    wanted = sorted((manifest.as_referrer() for manifest in pushed), key=lambda it: it["digest"])  # type: ignore[arg-type, return-value]
    assert (await listed(stores)).items == wanted
    assert (await listed(stores, "c/d")).items == [pushed[1].as_referrer()]
    assert (await listed(stores, "e/f")).items == []
    first = await listed(stores, limit=2)
    assert (first.items, first.has_more) == (wanted[:2], True)
    rest = await listed(stores, after=first.last)
    assert (rest.items, rest.has_more) == (wanted[2:], False)


async def test_a_type_that_cannot_be_printed_is_not_asked_of_storage(
    stores: Stores, pushes: Pushes, memory: Memory
) -> None:
    odd = referrer("one", "a\nb")
    await pushes.put(REPOSITORY, odd, [], by=ME)
    (key,) = memory.keys("referrer|")
    (row,) = await stores.contents.rows(REPOSITORY, [key])
    assert row.values["artifact_type"] == ""
    assert (await listed(stores)).items == [odd.as_referrer()]
    assert (await listed(stores, "a\nb")).items == []


async def test_a_subject_never_seen_has_none(stores: Stores) -> None:
    assert (await listed(stores)).items == []


async def test_a_large_descriptor_is_made_of_the_manifest(
    stores: Stores, pushes: Pushes, manifests: Manifests
) -> None:
    large = referrer("large", size=INLINE_BYTES)
    await pushes.put(REPOSITORY, large, [], by=ME)
    stores.bodies._bodies.clear()
    assert (await listed(stores)).items == [large.as_referrer()]


@pytest.mark.parametrize("is_row_gone", [True, False], ids=["no row", "no body"])
async def test_a_referrer_deleted_while_it_is_listed_is_left_out(
    stores: Stores, pushes: Pushes, memory: Memory, is_row_gone: bool
) -> None:
    large, small = referrer("large", size=INLINE_BYTES), referrer("small")
    await pushes.put(REPOSITORY, large, [], by=ME)
    await pushes.put(REPOSITORY, small, [], by=ME)
    stores.bodies._bodies.clear()
    record = await stores.contents.manifest(REPOSITORY, large.digest, with_body=True)
    assert record
    await stores.discard(record.object)
    if is_row_gone:
        partition = keys.contents_partition(GENERATION, REPOSITORY)
        del memory.rows._tables[keys.CONTENTS][partition][keys.manifest(large.digest)]
    assert (await listed(stores)).items == [small.as_referrer()]


async def test_the_digest_of_a_referrer_may_be_of_another_algorithm(
    stores: Stores, pushes: Pushes
) -> None:
    body = referrer("large", size=INLINE_BYTES).body
    manifest = read_manifest(body, SUBJECT.media_type, "sha512")
    await pushes.put(REPOSITORY, manifest, [], by=ME)
    stores.bodies._bodies.clear()
    (shown,) = (await listed(stores)).items
    assert shown["digest"] == str(Digest.of(body, "sha512"))


async def test_a_page_is_bounded_in_bytes_and_the_next_one_goes_on(
    stores: Stores, pushes: Pushes, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed = [referrer(name, size=1_000) for name in ("one", "two", "three", "four")]
    for manifest in pushed:
        await pushes.put(REPOSITORY, manifest, [], by=ME)
    size = max(len(orjson.dumps(manifest.as_referrer())) for manifest in pushed)
    for room, counts in ((2 * size + 10, [2, 2]), (size // 2, [1, 1, 1, 1])):
        monkeypatch.setattr(referrers, "PAGE_BYTES", room)
        seen: list[int] = []
        page = await listed(stores)
        while page.has_more:
            seen.append(len(page.items))
            page = await listed(stores, after=page.last)
        assert [*seen, len(page.items)] == counts


async def test_a_large_descriptor_is_made_once_and_aside(
    stores: Stores, pushes: Pushes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes up to a second: a crowd that lists it is not to stop all others for minutes."""
    await pushes.put(REPOSITORY, referrer("large", size=INLINE_BYTES), [], by=ME)
    seen: list[threading.Thread] = []

    def read(*arguments: Any) -> Manifest:
        seen.append(threading.current_thread())
        return read_manifest(*arguments)

    monkeypatch.setattr(reading, "read_manifest", read)
    service = Referrers(stores)

    async def ask() -> object:
        return await service.page(REPOSITORY, SUBJECT.digest, artifact_type="", after="", limit=9)

    await asyncio.gather(*(ask() for _ in range(5)))
    await ask()
    assert len(seen) == 1
    assert seen[0] is not threading.main_thread()
