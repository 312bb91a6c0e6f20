"""Blobs that nothing uses, collected behind the queue `garbage`."""

from datetime import timedelta

import pytest

from shared import bootstrap
from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.storage import keys
from shared.storage.layers.later import LateMessages
from shared.storage.messages.collecting import Collecting
from shared.storage.messages.letters import Letter
from shared.storage.ports import Unavailable
from tests.support.app import GENERATION, Site, indexed
from tests.support.images import blob
from tests.support.messages import letter_of

GRACE = timedelta(days=1)


async def test_a_blob_that_nothing_uses_is_collected(site: Site) -> None:
    unused = blob(b"unused")
    await site.push_blob("team/app", unused)
    site.clock.now += GRACE * 3 / 2 + timedelta(seconds=1)
    collecting = Collecting(
        LateMessages(site.memory.messages, site.clock, bootstrap.new_id), GENERATION
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


async def test_what_the_sweep_sends_is_tried_until_it_comes_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise Unavailable("nobody answers")

    await site.push_blob("team/app", blob(b"unused"))
    site.clock.now += 2 * GRACE
    site.memory.messages.sent.clear()
    await site.wake()
    (first,) = _to_collect(site)
    assert first.is_of_rounds
    with monkeypatch.context() as patch:
        patch.setattr(site.memory.rows, "get", fail)
        await site.deliver()
    (again,) = _to_collect(site)
    assert (again.tries, again.is_of_rounds) == (1, True)
    site.memory.messages.sent.clear()
    site.clock.now += GRACE
    await site.wake()
    (second,) = _to_collect(site)
    assert (second.id, second.body, second.is_of_rounds) == (again.id, again.body, True)


def _to_collect(site: Site) -> list[Letter]:
    """Give the letters to the collector that do not sleep."""
    sent = site.memory.messages.sent
    return [letter_of(message)[1] for message in sent if message.queue == keys.GARBAGE]


def test_it_goes_on_every_five_minutes(worker: None) -> None:
    _, functions = indexed()
    (timer,) = [f for f in functions if f.name == "sweep_garbage"]
    assert (timer.kind, timer.trigger["schedule"]) == ("timerTrigger", "30 2-59/5 * * * *")
