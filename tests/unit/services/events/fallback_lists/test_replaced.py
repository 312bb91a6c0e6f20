"""Lists that give way to others, by the registry or by their client."""

import pytest

from shared.errors import ManifestUnknown, PreconditionFailed
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Condition, Pushes
from tests.support.app import Memory
from tests.support.causes import ME
from tests.unit.services.conftest import (
    REPOSITORY,
    Before,
    index_of,
)
from tests.unit.services.events.fallback_lists.conftest import (
    NEW,
    OLD,
    STRANGER,
    TAG,
    WorkOff,
    listed,
    push,
)


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
    before(memory.rows, "commit", lambda: manifests.untag(REPOSITORY, TAG, by=ME))
    await work_off()
    with pytest.raises(ManifestUnknown):
        await manifests.find(REPOSITORY, TAG)


@pytest.mark.usefixtures("behind")
async def test_a_referrer_that_is_added_while_it_is_deleted_is_struck_off_again(
    manifests: Manifests, memory: Memory, work_off: WorkOff, before: Before
) -> None:
    async def delete() -> None:
        await manifests.delete(REPOSITORY, NEW.digest, by=ME)
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
        await pushes.put(REPOSITORY, index_of([]), [TAG], by=ME, condition=condition)
