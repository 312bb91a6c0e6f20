"""What holds of webhooks: at every moment, and once all messages were heard."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

import orjson

from shared.events import ManifestPushed, read
from shared.model.webhooks.webhook import Webhook
from shared.services.webhooks.hearing import action_of
from shared.services.webhooks.outcomes import MOST_UNANSWERED
from shared.services.webhooks.requests.bodies import event_id
from shared.storage import keys
from shared.storage.rows.webhooks.deliveries import Delivery, State
from tests.simulation.webhooks.world import SILENCE, HookWorld, path_of

_GONE = 410
_WELL = range(200, 300)


def broken(world: HookWorld) -> Iterator[str]:
    """Tell what does not hold at this moment."""
    yield from world.receivers.broken
    for webhook in world.webhooks():
        rows = world.rows_of(webhook.id)
        for one in world.deliveries(webhook.id):
            if (keys.waiting(one.name) in rows) != (one.state is State.WAITING):
                yield f"{one.name} is {one.state}, and is said to wait, or not to"
            if (keys.failed(one.name) in rows) != one.state.is_owed:
                yield f"{one.name} is {one.state}, and is said to have failed, or not to"
            if one.state is State.DELIVERED and not _has(world, webhook, one):
                yield f"{one.name} is delivered, and its receiver has not got it"


def _has(world: HookWorld, webhook: Webhook, one: Delivery) -> bool:
    path, name = path_of(webhook), event_id(one.name)
    return any(
        (it.path, it.id) == (path, name) and it.status in _WELL for it in world.receivers.got
    )


def broken_at_last(world: HookWorld, *, is_hurt: bool) -> Iterator[str]:
    """Tell what does not hold once all messages were heard."""
    yield from broken(world)
    yield from _too_often(world, is_hurt=is_hurt)
    yield from _bodies(world)
    for webhook in world.webhooks():
        yield from _undelivered(world, webhook)
        yield from _unheard(world, webhook)
        yield from _strangers(world, webhook)
        health = webhook.health
        is_well = world.receivers.answers[path_of(webhook)][-1] in _WELL
        if webhook.is_enabled and is_well and health.held:
            yield f"{webhook.name} answers, and is held since {health.held}"


def _undelivered(world: HookWorld, webhook: Webhook) -> Iterator[str]:
    answers = world.receivers.answers[path_of(webhook)]
    is_final = any(300 <= it < 500 for it in answers) or answers[-1] not in _WELL
    is_silent = answers.count(SILENCE) >= MOST_UNANSWERED
    for one in world.deliveries(webhook.id):
        if one.state is State.WAITING:
            yield f"{one.name} waits, and no message comes for it"
        if one.state is State.KEPT and not (world.was_disabled or _GONE in answers):
            yield f"{one.name} is kept, and its webhook was never disabled"
        if one.state.is_failure and not (one.is_ping or is_final or is_silent):
            yield f"{one.name} has failed, and its receiver answers: {one.why}"


def _strangers(world: HookWorld, webhook: Webhook) -> Iterator[str]:
    own = {event_id(one.name) for one in world.deliveries(webhook.id)}
    for it in world.receivers.got:
        if it.path == path_of(webhook) and it.id not in own:
            yield f"{it.id} came to {it.path}, and is not for it"


def _unheard(world: HookWorld, webhook: Webhook) -> Iterator[str]:
    if webhook.id != world.first:
        return
    for key, said in world.rows.told.items():
        is_told = action_of(read(said)) is not None
        name = keys.delivery(keys.event_name(key))
        if is_told and name not in world.rows_of(webhook.id):
            yield f"{webhook.name} never hears of {key}"


def _too_often(world: HookWorld, *, is_hurt: bool) -> Iterator[str]:
    got = Counter((it.path, it.id) for it in world.receivers.got if it.status in _WELL)
    pings = {event_id(one.name) for one in _all(world) if one.is_ping}
    often = 1 + world.replays + (is_hurt or world.is_disturbed)
    for (path, name), times in got.items():
        most = 1 if name in pings else often
        if times > most:
            yield f"{name} was taken {times} times at {path}, and was to be {most} times"


def _all(world: HookWorld) -> Iterator[Delivery]:
    for webhook in world.webhooks():
        yield from world.deliveries(webhook.id)


def _bodies(world: HookWorld) -> Iterator[str]:
    bodies: dict[str, set[bytes]] = {}
    for it in world.receivers.got:
        bodies.setdefault(it.id, set()).add(it.body)
    for name, each in bodies.items():
        if len(each) > 1:
            yield f"{name} is told in several ways: {each}"
    times: dict[str, datetime] = {}
    for key, said in world.rows.told.items():
        event, name = read(said), event_id(keys.event_name(key))
        if not isinstance(event, ManifestPushed) or name not in bodies:
            continue
        at = datetime.fromisoformat(orjson.loads(min(bodies[name]))["timestamp"])
        if event.tag in times and at <= times[event.tag]:
            yield f"a push of {event.tag} is told as of {at}, and the one before it of no less"
        times[event.tag] = at
