"""Blobs that nothing uses, collected behind the queue `garbage`."""

from datetime import timedelta

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.storage.collecting import Collecting
from shared.storage.layers.later import LateMessages
from tests.support.app import GENERATION, Site, indexed
from tests.support.images import blob

GRACE = timedelta(days=1)


async def test_a_blob_that_nothing_uses_is_collected(site: Site) -> None:
    unused = blob(b"unused")
    await site.push_blob("team/app", unused)
    site.clock.now += GRACE * 3 / 2 + timedelta(seconds=1)
    collecting = Collecting(
        LateMessages(site.memory.messages, site.clock, lambda: "1" * 32), GENERATION
    )
    await collecting.ask(RepositoryName("team/app"), [Digest.parse(unused.digest)])
    await site.deliver()
    answer = await site.call("HEAD", f"/v2/team/app/blobs/{unused.digest}")
    assert answer.status_code == 404
    assert site.memory.kept() == {}


async def test_a_timer_sweeps_what_no_message_tells_of(site: Site) -> None:
    unused = blob(b"unused")
    await site.push_blob("team/app", unused)
    site.clock.now += GRACE * 3 / 2 + timedelta(seconds=1)
    site.memory.messages.sent.clear()
    await site.wake()
    await site.deliver()
    assert site.memory.kept() == {}


def test_it_goes_on_every_five_minutes(worker: None) -> None:
    _, functions = indexed()
    (timer,) = [f for f in functions if f.name == "sweep_garbage"]
    assert (timer.kind, timer.trigger["schedule"]) == ("timerTrigger", "30 2-59/5 * * * *")
