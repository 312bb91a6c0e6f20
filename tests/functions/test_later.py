"""What sleeps for long: no function listens to its queue, and a timer wakes it."""

from datetime import timedelta

from shared.storage import ages, keys
from tests.support.app import Site, indexed
from tests.support.images import image
from tests.support.messages import awake


def test_no_function_listens_where_messages_sleep(worker: None) -> None:
    _, functions = indexed()
    queues = {f.trigger["queueName"] for f in functions if f.kind == "queueTrigger"}
    assert queues == {*keys.QUEUES} - {keys.LATER}


def test_a_timer_wakes_them_every_five_minutes(worker: None) -> None:
    _, functions = indexed()
    (timer,) = [f for f in functions if f.name == "wake_sleepers"]
    assert timer.trigger["type"] == "timerTrigger"
    assert timer.trigger["schedule"] == "0 */5 * * * *"


async def test_an_event_is_removed_once_the_message_that_says_so_is_woken(site: Site) -> None:
    await site.push("team/app", image(seed=1, layers=1), "v1")
    await site.deliver()
    assert {message.queue for message in site.memory.messages.sent} == {keys.LATER}
    assert {awake(message).queue for message in site.memory.messages.sent} == {keys.EVENTS}

    await site.wake()
    await site.deliver()
    assert site.memory.keys("outbox|")
    site.clock.now += 3 * ages.L + timedelta(seconds=1)
    await site.wake()
    await site.deliver()

    assert site.memory.keys("outbox|") == []
    assert site.memory.messages.sent == []
