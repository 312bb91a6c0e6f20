"""What those outside are told: of whose clock, and of which request."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.events import Cause, Event, ManifestDeleted, ManifestPushed, values
from shared.model.names import Tag
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.deletions.restores import Restores
from shared.services.events.outside import told
from shared.services.upkeep.purge import Purge
from shared.storage.ports import Change, Insert
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.unit.services.conftest import KEPT, LATEST, REPOSITORY, hold, image_of, parts

SERVER = "registry.example"
TWO = parts(2)
IMAGE, OTHER = image_of(TWO), image_of(TWO[:1])
AT = datetime(2024, 1, 1, tzinfo=UTC)
ASKED = Cause("me", "a request", "asked.example:5000", "PATCH", "docker/1")


@pytest.fixture
def commits(memory: Memory, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time pass with each commit, as it does."""
    commit = memory.rows.commit

    async def later(table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        clock.move(microseconds=1)
        return await commit(table, partition, changes)

    monkeypatch.setattr(memory.rows, "commit", later)


@pytest.fixture
def host(stores: Stores, clock: Clock, commits: None) -> Callable[[timedelta], Stores]:
    """Give the stores of a host whose clock is wrong by so much."""
    return lambda wrong: replace(stores, clock=lambda: clock() + wrong)


async def heard(stores: Stores, memory: Memory, tag: Tag) -> list[Event]:
    """Tell of all pushes of a tag, in the order in which they were committed."""
    rows = await stores.contents.rows(REPOSITORY, memory.keys("outbox|"))
    events = [told(row, SERVER) for row in sorted(rows, key=lambda row: int(row.etag[3:-1]))]
    return [it for it in events if isinstance(it, ManifestPushed) and it.tag == tag]


async def test_a_tag_s_times_increase_whatever_the_clocks_of_those_who_push_it(
    stores: Stores, memory: Memory, clock: Clock, host: Callable[[timedelta], Stores]
) -> None:
    await hold(stores, *TWO)
    early, late = host(-timedelta(minutes=5)), host(timedelta(minutes=5))
    here, there = (Pushes(each, is_sparse_allowed=False) for each in (late, early))
    manifests = Manifests(early, KEPT)
    await here.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    await manifests.untag(REPOSITORY, LATEST, by=ME)
    await there.put(REPOSITORY, IMAGE, [LATEST], by=ME)  # the tag is new to this one
    await here.put(REPOSITORY, OTHER, [LATEST], by=ME)
    await there.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    await there.put(REPOSITORY, IMAGE, [LATEST], by=ME)  # the very same
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    await there.put(REPOSITORY, OTHER, [LATEST], by=ME)
    await manifests.untag(REPOSITORY, LATEST, by=ME)
    restores = Restores(early, there, Purge(early, manifests))
    last = await restores.last(REPOSITORY, IMAGE.digest)
    assert last
    await restores.manifest(REPOSITORY, IMAGE.digest, last.manifest.life, by=ME)
    events = await heard(stores, memory, LATEST)
    times = [event.at for event in events]
    assert len(times) == len(set(times)) == 7
    assert times == sorted(times)
    assert all(abs(time - clock()) < timedelta(seconds=1) for time in times)


async def test_what_was_asked_for_is_told_as_it_was_asked(stores: Stores) -> None:
    event = ManifestPushed("d", "t", "m", 7, ASKED, stores.clock())
    assert (await one_told(stores, event)).cause == ASKED


@pytest.mark.parametrize(
    ("event", "method"),
    [
        (ManifestPushed("d", "t", "m", 7, Cause("operator"), AT), "PUT"),
        (ManifestDeleted("d", "m", Cause("purge"), AT), "DELETE"),
    ],
)
async def test_what_nobody_asked_for_has_a_request_of_its_own(
    stores: Stores, event: Event, method: str
) -> None:
    by = event.cause.by
    assert (await one_told(stores, event)).cause == Cause(by, "e" * 32, SERVER, method)


async def one_told(stores: Stores, event: Event) -> Event:
    """Write an event, and tell of it."""
    key = f"outbox|20260101T000000000000-{'e' * 32}"
    await stores.contents.commit(REPOSITORY, [Insert(key, values(event))])
    [row] = await stores.contents.rows(REPOSITORY, [key])
    return told(row, SERVER)
