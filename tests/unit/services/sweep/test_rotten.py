"""A manifest that rotted, whose deletion died: the sweep brings it to its end as what it is."""

import pytest

from shared.model.attributes import Wanted
from shared.model.manifest import Manifest
from shared.model.names import Tag
from shared.services.attributes.changes import AttributeChanges
from shared.services.content import manifests as deleting
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.sweep.findings import What
from shared.storage.rows.records import INLINE_BYTES, ROTTEN
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.unit.services.conftest import LATEST, REPOSITORY, Crash, hold, image_of, parts
from tests.unit.services.sweep.conftest import Mend, Settle
from tests.unit.services.sweep.test_contents import Die

TWO = parts(2)
LARGE = image_of(TWO, annotations={"long": "x" * INLINE_BYTES})
TAGS = [Tag(f"v{number}") for number in range(5)]


async def names(stores: Stores) -> list[str]:
    return [tag.name for tag in await stores.contents.tags(REPOSITORY, "", 10)]


@pytest.fixture
async def half_gone(
    stores: Stores,
    pushes: Pushes,
    manifests: Manifests,
    memory: Memory,
    settle: Settle,
    crash: Die,
    monkeypatch: pytest.MonkeyPatch,
) -> Manifest:
    """A manifest that rotted; the process died when two of its tags were taken."""
    monkeypatch.setattr(deleting, "_TAGS", 2)
    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, LARGE, TAGS, by=ME)
    await settle()
    record = await stores.contents.manifest(REPOSITORY, LARGE.digest, with_body=False)
    assert record
    revive = crash(memory, 2)
    with pytest.raises(Crash):
        await manifests.delete_rotten(REPOSITORY, LARGE.digest, record.life)
    revive()
    monkeypatch.setattr(deleting, "_TAGS", 2)
    assert len(await names(stores)) == 3
    return LARGE


async def test_its_tags_come_back_with_the_next_push(
    stores: Stores, pushes: Pushes, half_gone: Manifest, settle: Settle, mend: Mend
) -> None:
    assert await mend() == [What.DELETION]
    (life,) = await stores.contents.lives(REPOSITORY, "", 10)
    assert life.reason == ROTTEN
    await pushes.put(REPOSITORY, half_gone, [LATEST], by=ME)
    await settle()
    assert await names(stores) == ["latest", *TAGS]


async def test_it_goes_though_the_repository_takes_no_changes(
    stores: Stores, half_gone: Manifest, attributes: AttributeChanges, mend: Mend
) -> None:
    await attributes.repository(REPOSITORY, Wanted(write_enabled=False))
    assert await mend() == [What.DELETION]
    assert await stores.contents.manifest(REPOSITORY, half_gone.digest, with_body=False) is None
