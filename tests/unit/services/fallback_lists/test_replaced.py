"""Lists that give way to others, by the registry or by their client."""

import pytest

from shared.errors import ManifestUnknown, PreconditionFailed
from shared.model.manifest import read_manifest
from shared.model.media_types import OCI_INDEX
from shared.services.manifests import Manifests
from shared.services.pushes import Condition, Pushes
from shared.storage import keys
from shared.storage.ports import Update
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.unit.services.conftest import (
    LATEST,
    REPOSITORY,
    Before,
    index_of,
)
from tests.unit.services.fallback_lists.conftest import (
    NEW,
    OLD,
    STRANGER,
    TAG,
    WorkOff,
    listed,
    push,
)


async def test_lists_that_were_made_here_go_when_they_are_replaced(
    pushes: Pushes, manifests: Manifests, memory: Memory, work_off: WorkOff
) -> None:
    theirs = index_of([])
    await push(pushes, theirs, TAG)
    for referrer in (OLD, NEW):
        await push(pushes, referrer)
        await work_off()
    last = await manifests.find(REPOSITORY, TAG)
    kept = {OLD.digest, NEW.digest, theirs.digest, last.digest}
    assert set(memory.keys("manifest|")) == {keys.manifest(digest) for digest in kept}


async def test_a_list_that_was_made_here_stays_while_it_has_a_tag(
    pushes: Pushes, manifests: Manifests, stores: Stores, work_off: WorkOff
) -> None:
    await push(pushes, OLD)
    await push(pushes, index_of([]), TAG)
    await work_off()
    ours, body = await manifests.read(REPOSITORY, TAG)
    await push(pushes, read_manifest(body, OCI_INDEX), LATEST)
    made_here = Update(keys.manifest(ours.digest), {"is_made_here": True})
    await stores.contents.commit(REPOSITORY, [made_here])
    await push(pushes, NEW)
    await work_off()
    assert (await manifests.find(REPOSITORY, LATEST)).digest == ours.digest


async def test_a_list_that_was_made_here_stays_in_an_index(
    pushes: Pushes, manifests: Manifests, memory: Memory, work_off: WorkOff, before: Before
) -> None:
    await push(pushes, OLD)
    await push(pushes, index_of([]), TAG)
    await work_off()
    ours, body = await manifests.read(REPOSITORY, TAG)
    await push(pushes, NEW)
    index = index_of([read_manifest(body, OCI_INDEX)])
    before(memory.rows, "commit", lambda: push(pushes, index), at=2)
    await work_off()
    assert (await manifests.find(REPOSITORY, ours.digest)).digest == ours.digest


async def test_a_list_that_was_made_here_stays_when_a_client_has_pushed_it(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff
) -> None:
    await push(pushes, OLD)
    await push(pushes, index_of([]), TAG)
    await work_off()
    ours, body = await manifests.read(REPOSITORY, TAG)
    await push(pushes, read_manifest(body, OCI_INDEX))
    await push(pushes, NEW)
    await work_off()
    assert (await manifests.find(REPOSITORY, ours.digest)).digest == ours.digest


@pytest.fixture
async def behind(pushes: Pushes, work_off: WorkOff) -> None:
    """A list that lacks what was just pushed."""
    await push(pushes, OLD)
    await push(pushes, index_of([OLD]), TAG)
    await work_off()
    await push(pushes, NEW)


@pytest.mark.usefixtures("behind")
async def test_a_list_that_changes_meanwhile_is_brought_in_step_by_its_own_event(
    pushes: Pushes, manifests: Manifests, memory: Memory, work_off: WorkOff, before: Before
) -> None:
    theirs = index_of([STRANGER, OLD])
    await push(pushes, STRANGER)
    before(memory.rows, "commit", lambda: push(pushes, theirs, TAG))
    await work_off()
    assert await listed(manifests) == [STRANGER.digest, OLD.digest, NEW.digest]


@pytest.mark.usefixtures("behind")
async def test_a_list_that_goes_meanwhile_does_not_come_back(
    manifests: Manifests, memory: Memory, work_off: WorkOff, before: Before
) -> None:
    before(memory.rows, "commit", lambda: manifests.untag(REPOSITORY, TAG, by="me"))
    await work_off()
    with pytest.raises(ManifestUnknown):
        await manifests.find(REPOSITORY, TAG)


@pytest.mark.usefixtures("behind")
async def test_a_referrer_that_is_added_while_it_is_deleted_is_struck_off_again(
    manifests: Manifests, memory: Memory, work_off: WorkOff, before: Before
) -> None:
    async def delete() -> None:
        await manifests.delete(REPOSITORY, NEW.digest, by="me")
        await work_off()
        assert await listed(manifests) == [OLD.digest]

    before(memory.rows, "commit", delete)
    await work_off()
    assert await listed(manifests) == [OLD.digest]


async def test_an_old_client_with_a_condition_reads_again(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff
) -> None:
    await push(pushes, OLD)
    await push(pushes, index_of([OLD]), TAG)
    read = await manifests.find(REPOSITORY, TAG)
    await push(pushes, NEW)
    await work_off()
    condition = Condition(digests=frozenset({str(read.digest)}))
    with pytest.raises(PreconditionFailed):
        await pushes.put(REPOSITORY, index_of([]), [TAG], by="me", condition=condition)
