"""Messages that fail, through the worker: they come again, and are done at last."""

import json

import pytest

from shared.storage import keys
from shared.storage.memory.messages import Sent
from shared.storage.messages.letters import Letter
from shared.storage.ports import Unavailable
from shared.storage.rows.failing import Failures
from tests.support.app import Site, indexed
from tests.support.images import image
from tests.support.messages import letter_of

IMAGE = image(seed=1, layers=1)
LISTENED = (keys.EVENTS, keys.UPKEEP)


def waiting(site: Site) -> list[tuple[str, Letter]]:
    return [letter_of(message) for message in site.memory.messages.sent]


def test_a_timer_revives_what_was_given_up_every_five_minutes(worker: None) -> None:
    _, functions = indexed()
    (timer,) = [f for f in functions if f.name == "revive_poison"]
    assert timer.trigger["type"] == "timerTrigger"
    assert timer.trigger["schedule"] == "0 */5 * * * *"


async def test_what_fails_sleeps_with_its_reason_and_is_done_when_all_is_well(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.push("team/app", IMAGE, "v1")
    with monkeypatch.context() as patch:
        patch.setattr(site.memory.rows, "get", _busy)
        patch.setattr(site.memory.rows, "scan", _busy)
        await site.deliver()
    ((queue, letter),) = waiting(site)
    assert (queue, letter.tries, letter.why) == (keys.EVENTS, 1, "Unavailable: nobody answers")
    (row,) = await Failures(site.memory.rows).page("", 10)
    assert (row.queue, row.letter) == (queue, letter)

    await _deliver_all(site)
    assert await Failures(site.memory.rows).page("", 10) == []
    (event,) = site.memory.keys("outbox|")
    (removal,) = waiting(site)
    assert json.loads(removal[1].body)["events"] == [event]


@pytest.mark.parametrize("queue", LISTENED)
@pytest.mark.parametrize("text", ["", "text", "{}", "null", '{"kind": "unheard of"}', "a\nb"])
async def test_what_is_no_message_is_tried_again_and_then_kept_in_a_row(
    site: Site, queue: str, text: str
) -> None:
    await site.memory.messages.send(queue, text)
    for tries in range(1, 6):
        await _deliver_all(site)
        ((again, letter),) = waiting(site)
        assert (again, letter.body, letter.tries) == (queue, text, tries)
    await _deliver_all(site)
    assert waiting(site) == []
    (row,) = await Failures(site.memory.rows).page("", 10)
    assert (row.key, row.letter.body) == (f"unreadable|{letter.id}", text)


async def test_what_the_host_gave_up_is_done(site: Site) -> None:
    await site.push("team/app", IMAGE, "v1")
    (message,) = site.memory.messages.sent
    site.memory.messages.sent.clear()
    await site.memory.messages.prepare([f"{keys.EVENTS}-poison"])
    await site.memory.messages.send(f"{keys.EVENTS}-poison", message.body)
    assert len(site.memory.keys("outbox|")) == 1

    await site.wake()
    ((queue, letter),) = waiting(site)
    assert (queue, letter.id) == (keys.EVENTS, letter_of(message)[1].id)
    await _deliver_all(site)
    (removal,) = waiting(site)
    assert json.loads(removal[1].body)["stage"] == -1


async def test_nothing_is_made_where_nothing_was_given_up(site: Site) -> None:
    await site.wake()
    assert site.memory.messages._queues == set(keys.QUEUES)


async def _deliver_all(site: Site) -> None:
    """Deliver what there is now, however long it is to wait; not what follows later from it."""
    sent = site.memory.messages.sent
    sent[:] = [Sent(*_awake(it)) for it in sent]
    await site.deliver()


def _awake(message: Sent) -> tuple[str, str, int]:
    queue, letter = letter_of(message)
    return queue, letter.text(), 0


async def _busy(*_: object, **__: object) -> None:
    raise Unavailable("nobody answers")
