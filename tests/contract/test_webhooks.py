"""Rows of webhooks, over each adapter."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.model.callbacks import MOST_BYTES, CallbackSeal
from shared.model.webhooks import (
    Action,
    Callback,
    Form,
    Health,
    Hmac,
    Scope,
    Webhook,
)
from shared.storage import keys
from shared.storage.ports import Conflict, NotFound, Rows
from shared.storage.rows.webhooks import Webhooks

MADE = datetime(2026, 1, 2, 3, 4, 5, 6, UTC)
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
    hmacs=[Hmac("X-Hub-Signature", "sha1"), Hmac("X-Other", "sha256", is_bare=True)],
    is_tagged_only=True,
    retries_4xx=True,
    seconds=60,
    ca="-----BEGIN CERTIFICATE-----\n",
    health=Health(5, MADE, "503 Service Unavailable", "410 Gone"),
)


@pytest.fixture
async def webhooks(empty_rows: Rows, name: str, monkeypatch: pytest.MonkeyPatch) -> Webhooks:
    monkeypatch.setattr(keys, "WEBHOOKS", name)
    await empty_rows.prepare([name])
    return Webhooks(empty_rows, "g" * 32)


@pytest.mark.parametrize("webhook", [PLAIN, FULL, replace(FULL, scope=Scope("a", "v1"))])
async def test_a_webhook_comes_back(webhooks: Webhooks, webhook: Webhook) -> None:
    assert await webhooks.find(webhook.name) is None
    made = await webhooks.create(webhook)
    found = await webhooks.find(webhook.name.upper())
    assert found
    assert (found, found.etag) == (replace(webhook, hmacs=list(webhook.hmacs)), made.etag)


async def test_the_name_is_taken_in_whichever_letters(webhooks: Webhooks) -> None:
    await webhooks.create(PLAIN)
    with pytest.raises(Conflict):
        await webhooks.create(replace(FULL, name="pLAIN"))
    assert await webhooks.find("plain") == replace(PLAIN, hmacs=[])


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
        replace(PLAIN, sealed=b"", hmacs=[]),
    ]
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
    callback = Callback("http://a", {"A": "b" * (MOST_BYTES - 100)})
    sealed = CallbackSeal(b"k" * 32).close(callback, FULL.id)
    large = replace(FULL, sealed=sealed, ca="c" * 65_536)
    await webhooks.create(large)
    assert await webhooks.find(FULL.name) == large
