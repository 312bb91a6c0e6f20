"""Rows of webhooks, over each adapter."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.model.webhooks.callbacks import CallbackSeal
from shared.model.webhooks.webhook import (
    Action,
    Callback,
    Form,
    Health,
    Hmac,
    Scope,
    Secret,
    Webhook,
)
from shared.services.webhooks.configuration.checking import (
    CA_LENGTH,
    HEADERS_LENGTH,
    SECRET_LENGTH,
    URI_LENGTH,
)
from shared.services.webhooks.configuration.registering import MOST_SECRETS
from shared.storage import keys
from shared.storage.ports import Conflict, NotFound, Rows
from shared.storage.rows.webhooks.webhooks import Webhooks

MADE = datetime.now(UTC)
PLAIN = Webhook("Plain", "1" * 32, MADE, b"sealed")
FULL = Webhook(
    name="fullHook1",
    id="2" * 32,
    created=MADE,
    sealed=b"\x00\xff" * 32,
    is_enabled=False,
    scope=Scope("team/app", "*"),
    actions=frozenset(Action),
    form=Form.CLOUDEVENTS,
    hmacs=(Hmac("X-Hub-Signature", "sha1"), Hmac("X-Other", "sha256", is_bare=True)),
    is_tagged_only=True,
    retries_4xx=True,
    seconds=60,
    ca="-----BEGIN CERTIFICATE-----\n",
    health=Health(5, MADE, "503 Service Unavailable", "410 Gone", failing=MADE),
)


@pytest.fixture
async def webhooks(empty_rows: Rows, name: str, monkeypatch: pytest.MonkeyPatch) -> Webhooks:
    monkeypatch.setattr(keys, "WEBHOOKS", name)
    await empty_rows.prepare([name])
    return Webhooks(empty_rows, "g" * 32)


@pytest.fixture(autouse=True)
def made_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let them be made when they are, and not when this module was read."""
    now = datetime.now(UTC)
    for name, one in (("PLAIN", PLAIN), ("FULL", FULL)):
        monkeypatch.setitem(globals(), name, replace(one, created=now))


@pytest.mark.parametrize("webhook", [PLAIN, FULL, replace(FULL, scope=Scope("a", "v1"))])
async def test_a_webhook_comes_back(webhooks: Webhooks, webhook: Webhook) -> None:
    assert await webhooks.find(webhook.name) is None
    webhook = replace(webhook, created=FULL.created)
    made = await webhooks.create(webhook)
    found = await webhooks.find(webhook.name.upper())
    assert found
    assert (found, found.etag) == (webhook, made.etag)


@pytest.mark.parametrize("wrong", [timedelta(hours=3), timedelta(minutes=-20)])
async def test_one_that_is_made_by_a_wrong_clock_has_the_time_of_storage(
    webhooks: Webhooks, wrong: timedelta
) -> None:
    made = await webhooks.create(replace(FULL, created=FULL.created + wrong))
    assert abs(made.created - datetime.now(UTC)) < timedelta(seconds=60)
    assert await webhooks.find(FULL.name) == replace(FULL, created=made.created)
    assert await webhooks.change(replace(made, seconds=1))


async def test_the_name_is_taken_in_whichever_letters(webhooks: Webhooks) -> None:
    await webhooks.create(PLAIN)
    with pytest.raises(Conflict):
        await webhooks.create(replace(FULL, name="pLAIN"))
    assert await webhooks.find("plain") == PLAIN


async def test_all_are_listed_by_name_without_what_is_large(
    webhooks: Webhooks, empty_rows: Rows
) -> None:
    assert await webhooks.all() == []
    await webhooks.create(PLAIN)
    await webhooks.create(FULL)
    await Webhooks(empty_rows, "h" * 32).create(PLAIN)
    listed = await webhooks.all()
    assert listed == [
        replace(FULL, sealed=b"", ca=""),
        replace(PLAIN, sealed=b""),
    ]
    assert [it.sealed for it in await webhooks.all(is_whole=True)] == [FULL.sealed, PLAIN.sealed]
    await webhooks.change(replace(listed[0], is_enabled=True))
    assert await webhooks.find(FULL.name) == replace(FULL, is_enabled=True)


async def test_of_two_changes_at_once_one_wins(webhooks: Webhooks) -> None:
    made = await webhooks.create(FULL)
    changed = await webhooks.change(replace(made, ca="", health=Health()))
    assert await webhooks.find(FULL.name) == replace(FULL, ca="", health=Health())
    with pytest.raises(Conflict):
        await webhooks.change(replace(made, seconds=1))
    with pytest.raises(Conflict):
        await webhooks.delete(made)
    again = await webhooks.change(replace(changed, seconds=1))
    await webhooks.delete(again)
    with pytest.raises(NotFound):
        await webhooks.change(again)
    with pytest.raises(NotFound):
        await webhooks.delete(again)


async def test_the_largest_webhook_fits(webhooks: Webhooks) -> None:
    secrets = [Secret("😀" * SECRET_LENGTH, MADE)] * MOST_SECRETS
    callback = Callback("u" * URI_LENGTH, {"A": "b" * HEADERS_LENGTH}, secrets)
    sealed = CallbackSeal(b"k" * 32).close(callback, FULL.id)
    large = replace(FULL, sealed=sealed, ca="c" * CA_LENGTH)
    await webhooks.create(large)
    assert await webhooks.find(FULL.name) == large
