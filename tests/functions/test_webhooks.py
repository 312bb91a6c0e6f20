"""Events on their way to webhooks, through the functions that bring them there."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from shared import bootstrap
from shared.assembly.webhooks import seal_of
from shared.model.master_keys import MasterKeys
from shared.model.webhooks.webhook import Callback, Secret, Webhook
from shared.storage import keys
from shared.storage.bodies import Bodies
from shared.storage.ports import Unavailable
from shared.storage.rows.webhooks.deliveries import State
from shared.storage.stores import Stores
from tests.support.app import GENERATION, LOGIN_SERVER, MASTER_KEY, Site, indexed
from tests.support.images import image
from tests.support.messages import letter_of
from tests.support.pauses import no_pause
from tests.support.webhooks import REFUSED, ScriptedPoster


@pytest.fixture
def poster(monkeypatch: pytest.MonkeyPatch) -> ScriptedPoster:
    scripted = ScriptedPoster()
    monkeypatch.setattr(bootstrap, "open_poster", lambda _: scripted)
    return scripted


def stores_of(site: Site) -> Stores:
    memory = site.memory
    return Stores.over(
        memory.rows,
        memory.objects,
        memory.messages,
        GENERATION,
        beside=memory.beside,
        bodies=Bodies(1),
        clock=site.clock,
        new_id=bootstrap.new_id,
        pause=no_pause,
    )


async def hook(site: Site, name: str = "hooka", **more: Any) -> Webhook:
    """Make a webhook of the site's registry."""
    webhook = Webhook(name, bootstrap.new_id(), site.clock(), **more)
    seal = seal_of(MasterKeys(MASTER_KEY), GENERATION)
    callback = Callback(f"https://{name}.example/hook", {}, [Secret("s3cret-key")])
    sealed = seal.close(callback, webhook.id)
    made = Webhook(name, webhook.id, webhook.created, sealed, **more)
    return await stores_of(site).webhooks.create(made)


async def test_a_push_is_told_to_each_webhook_that_hears_of_it(
    poster: ScriptedPoster, site: Site
) -> None:
    await hook(site, "hooka")
    await hook(site, "hookb", actions=frozenset())
    await site.push("team/app", image(seed=1, layers=1), "v1")
    await site.deliver()
    (posted,) = poster.posted
    assert posted.url == "https://hooka.example/hook"
    assert b'"action":"push"' in posted.body
    assert b'"repository":"team/app","tag":"v1"' in posted.body
    assert f'"host":"{LOGIN_SERVER}"'.encode() in posted.body
    await site.wake()
    await site.deliver()
    assert len(poster.posted) == 1


async def test_a_deletion_is_told_once(poster: ScriptedPoster, site: Site) -> None:
    from shared.model.webhooks.webhook import Action  # noqa: PLC0415

    await hook(site, actions=frozenset({Action.DELETE}))
    pushed = image(seed=1, layers=1)
    await site.push("team/app", pushed, "v1")
    answer = await site.call("DELETE", f"/v2/team/app/manifests/{pushed.manifest.digest}")
    assert answer.status_code == 202
    await site.deliver()
    assert [b'"action":"delete"' in posted.body for posted in poster.posted] == [True]


async def test_a_storage_that_fails_brings_the_message_again(
    poster: ScriptedPoster, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await hook(site)
    await site.push("team/app", image(seed=1, layers=1), "v1")
    commit = site.memory.rows.commit

    async def busy(table: str, *others: Any) -> Any:
        if table == keys.WEBHOOKS and poster.posted:
            raise Unavailable("the table is busy")
        return await commit(table, *others)

    with monkeypatch.context() as patch:
        patch.setattr(site.memory.rows, "commit", busy)
        await site.deliver()
    assert len(poster.posted) == 1
    (letter,) = [
        letter_of(one)[1] for one in site.memory.messages.sent if one[0] == keys.DELIVERIES
    ]
    assert letter.tries == 1
    site.memory.messages.sent[:] = [
        one._replace(delay=0) if one[0] == keys.DELIVERIES else one
        for one in site.memory.messages.sent
    ]
    await site.deliver()
    page = await stores_of(site).deliveries.page(made.id)
    assert [one.state for one in page] == [State.DELIVERED]


async def test_no_secret_is_logged(
    poster: ScriptedPoster, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await hook(site)
    poster.always = REFUSED
    await site.push("team/app", image(seed=1, layers=1), "v1")
    await site.deliver()
    assert len(poster.posted) == 1
    assert "s3cret" not in caplog.text
    assert "/hook" not in caplog.text


async def test_a_push_with_three_webhooks_costs_the_pusher_no_call_more(
    poster: ScriptedPoster, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[Mapping[str, int]] = []
    for number in range(2):
        if number:
            for name in ("hooka", "hookb", "hookc"):
                await hook(site, name)
        calls = Counter[str]()
        with monkeypatch.context() as patch:
            for port, names in (
                (site.memory.rows, ("get", "scan", "page", "commit")),
                (site.memory.messages, ("send",)),
            ):
                for name in names:
                    patch.setattr(port, name, _counted(getattr(port, name), name, calls))
            await site.push("team/app", image(seed=number + 1, layers=1), f"v{number}")
        await site.deliver()
        counts.append(calls)
    first, second = counts
    assert sum(second.values()) <= sum(first.values())
    assert len(poster.posted) == 3


def _counted(original: Callable[..., Any], name: str, calls: Counter[str]) -> Callable[..., Any]:
    async def call(*arguments: Any, **options: Any) -> Any:
        calls[name] += 1
        return await original(*arguments, **options)

    return call


async def test_the_timer_costs_two_calls_where_there_is_no_webhook(
    poster: ScriptedPoster, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Counter[str]()
    with monkeypatch.context() as patch:
        for name in ("get", "scan", "page", "commit"):
            port = site.memory.rows
            patch.setattr(port, name, _counted(getattr(port, name), name, calls))
        await bootstrap.registries().tend()
    assert calls["page"] == 1
    assert sum(calls.values()) <= 4  # the registries themselves and their keys, too


def test_it_is_tended_every_hour(worker: None) -> None:
    _, functions = indexed()
    (timer,) = [f for f in functions if f.name == "tend_webhooks"]
    assert (timer.kind, timer.trigger["schedule"]) == ("timerTrigger", "0 41 * * * *")
