"""A blob that was deleted stays so, unless the rows that would say so are lost."""

from collections.abc import Sequence

import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName, Tag
from shared.services.content.blobs import Blobs
from shared.services.content.joining import Joining
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.garbage.garbage import Garbage
from shared.services.sweep.findings import Told
from shared.services.sweep.sweep import Sweep
from shared.services.turns.turns import Turns
from shared.services.verification.healing import Healing
from shared.storage import keys
from shared.storage.halt import Halt
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.unit.services.conftest import GRACE, KEPT, LIFETIME, hold, image_of, parts
from tests.unit.services.rebuild.conftest import A, Again, B, lose
from tests.unit.services.sweep.conftest import whole_round

PARTS = parts(2)
(OTHER,) = parts(1, "other")
IMAGE = image_of(PARTS)
FIRST = Digest.parse(PARTS[0].digest)


async def shown(stores: Stores, repository: RepositoryName = A) -> bool:
    return await stores.contents.link(repository, FIRST) is not None


async def delete(stores: Stores) -> None:
    await Blobs(stores, GRACE, 60, Turns(2, 0.01, "downloads")).delete(A, FIRST)


@pytest.mark.parametrize("lost", [[], [keys.BLOBS], [keys.REPOSITORIES]], ids=str)
async def test_a_blob_that_was_deleted_stays_so(
    stores: Stores, prepared: Memory, rebuild: Again, clock: Clock, lost: Sequence[str]
) -> None:
    await hold(stores, *PARTS, OTHER, repository=A)
    await delete(stores)
    clock.move(minutes=5)
    lose(prepared, *lost)
    report = await rebuild()
    assert not await shown(stores)
    assert (report.blobs, report.shown, report.faults) == (3, 0, [])


@pytest.mark.parametrize("lost", [[], [keys.BLOBS]], ids=str)
async def test_one_that_a_deleted_manifest_used_stays_so(
    stores: Stores,
    prepared: Memory,
    pushes: Pushes,
    manifests: Manifests,
    rebuild: Again,
    clock: Clock,
    lost: Sequence[str],
) -> None:
    await hold(stores, *PARTS, repository=A)
    await pushes.put(A, IMAGE, [Tag("v1")], by=ME)
    await manifests.delete(A, IMAGE.digest, by=ME)
    await delete(stores)
    clock.move(minutes=5)
    lose(prepared, *lost)
    report = await rebuild()
    assert not await shown(stores)
    assert (report.shown, report.faults) == (0, [])


async def test_another_repository_keeps_what_was_deleted_where_it_was_uploaded(
    stores: Stores, prepared: Memory, rebuild: Again, clock: Clock
) -> None:
    """Its bytes come back for the other; and go, with the last who holds them."""
    await hold(stores, *PARTS, OTHER, repository=A)
    await Joining(stores).share(B, FIRST, A)
    await delete(stores)
    clock.move(minutes=5)
    lose(prepared, keys.BLOBS)
    await rebuild()
    assert (await shown(stores, A), await shown(stores, B)) == (False, True)
    link = await stores.contents.link(B, FIRST)
    assert link
    assert await stores.holdings.join(FIRST, B, link.object)

    sweep = Sweep(
        stores,
        Told(Garbage(stores, GRACE).collect, Healing(stores).do),
        grace=GRACE,
        kept=KEPT,
        lifetime=LIFETIME,
    )
    for _ in range(2):
        clock.now += 2 * GRACE
        await whole_round(sweep)
    assert await stores.holdings.content(FIRST) is None
    assert await prepared.objects.facts(link.object) is None


@pytest.mark.parametrize("said", [[keys.CONTENTS], [f"table {keys.CONTENTS}", "registry one"]])
async def test_where_the_table_is_lost_it_is_shown_and_counted(
    stores: Stores, prepared: Memory, rebuild: Again, clock: Clock, said: Sequence[str]
) -> None:
    """Also where rows have been made since, by a push, or a rebuild that died."""
    await hold(stores, *PARTS, OTHER, repository=A)
    await delete(stores)
    clock.move(minutes=5)
    await Halt(prepared.beside).put(said)
    lose(prepared, keys.CONTENTS)
    await hold(stores, OTHER, repository=A)
    report = await rebuild()
    assert await shown(stores)
    assert report.shown == 2


async def test_a_repository_without_any_row_is_lost(
    stores: Stores, prepared: Memory, rebuild: Again, clock: Clock
) -> None:
    """The table was made anew by others, so nothing says that it was lost."""
    await hold(stores, *PARTS, OTHER, repository=A)
    await hold(stores, *PARTS, repository=B)
    clock.move(minutes=5)
    lose(prepared, keys.CONTENTS)
    report = await rebuild()
    assert await shown(stores)
    assert report.shown == len(PARTS) * 2 + 1
