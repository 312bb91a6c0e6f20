"""A subject, its referrers, and the list that an old client keeps of them."""

from collections.abc import Awaitable, Callable

import orjson
import pytest

from shared.model.digest import Digest
from shared.model.manifests.manifest import Manifest
from shared.model.names import Tag, referrers_tag
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.events.fallback_lists import FallbackLists
from shared.services.events.fan_out import Announcement, FanOut
from shared.services.upkeep.errands import Upkeep
from shared.storage import keys
from shared.storage.messages.errands import Errand
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.messages import awake
from tests.unit.services.conftest import (
    REPOSITORY,
    described_as,
    hold,
    image_of,
    parts,
)

type WorkOff = Callable[[], Awaitable[int]]

ONE = parts(1)
SUBJECT = image_of(ONE)
TAG = referrers_tag(SUBJECT.digest)
OLD, NEW = (
    image_of(ONE, subject=described_as(SUBJECT), annotations={"by": name})
    for name in ("old", "new")
)
STRANGER = image_of(ONE, annotations={"subject": "none"})


@pytest.fixture(autouse=True)
async def held(stores: Stores) -> None:
    await hold(stores, *ONE)


@pytest.fixture
def lists(stores: Stores) -> FallbackLists:
    return FallbackLists(stores)


@pytest.fixture
def work_off(stores: Stores, memory: Memory, upkeep: Upkeep) -> WorkOff:
    """Do what the functions behind the queues do, to the end; count the changes."""

    async def work() -> int:
        count = 0
        while memory.messages.sent:
            queue, body, delay = awake(memory.messages.sent.pop(0))
            if delay > 1:
                continue
            if queue == keys.UPKEEP:
                await upkeep.run(Errand.read(body.encode()))
                continue
            announcement = Announcement.read(body.encode())
            await FanOut(stores).follow(announcement)
            count += announcement.stage == 0
            assert count < 50
        return count

    return work


async def push(pushes: Pushes, manifest: Manifest, *tags: Tag) -> None:
    await pushes.put(REPOSITORY, manifest, tags, by=ME)


async def listed(manifests: Manifests, tag: Tag = TAG) -> list[Digest]:
    _, body = await manifests.read(REPOSITORY, tag)
    return [Digest.parse(one["digest"]) for one in orjson.loads(body)["manifests"]]
