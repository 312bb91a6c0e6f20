"""Rows that a later version has written: what is not known here is passed over, and kept."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from shared.model.webhooks.webhook import Health, Hmac, Webhook
from shared.storage import keys
from shared.storage.ports import Update
from shared.storage.rows.registries import Grace, RegistryRecord, RegistryRecords
from shared.storage.rows.rounds.scrubs import Round
from shared.storage.rows.webhooks.webhooks import Webhooks
from tests.support.app import LONG_AGO, MASTER_KEYS, Memory

NOW = datetime(2026, 11, 28, tzinfo=UTC)
HOUR = timedelta(hours=1)
LATER = {"of_a_later_version": 1}


def test_a_round_of_the_scrub_is_read() -> None:
    written = Round(NOW, objects=7)
    assert Round.read(json.dumps({**json.loads(written.text()), **LATER})) == written


def test_a_grace_period_is_read() -> None:
    written = Grace(HOUR, 2 * HOUR, NOW)
    assert Grace.read(json.dumps([*json.loads(written.text()), "more"])) == written


async def test_a_webhook_is_read(prepared: Memory) -> None:
    webhooks = Webhooks(prepared.rows, "one")
    webhook = Webhook("later", "1" * 32, NOW, b"sealed", hmacs=(Hmac("X-Hub", "sha1"),))
    made = await webhooks.create(replace(webhook, health=Health()))
    row = await prepared.rows.get(keys.WEBHOOKS, "one", "later")
    assert row
    values = {
        "hmacs": orjson.dumps([{**one, **LATER} for one in read(row.values["hmacs"])]).decode(),
        "health": orjson.dumps({**read(row.values["health"]), **LATER}).decode(),
    }
    await prepared.rows.commit(keys.WEBHOOKS, "one", [Update("later", values)])
    found = await webhooks.find("later")
    assert found
    assert replace(found, etag="") == replace(made, etag="")


async def test_a_change_of_a_registry_keeps_what_it_does_not_know(
    worker: None, prepared: Memory
) -> None:
    records = RegistryRecords(prepared.rows, prepared.beside, MASTER_KEYS)
    await records.create(RegistryRecord("another", "one", ()), LONG_AGO)
    known = {"soft_delete_days": 3, **LATER}
    theirs = {"policies": json.dumps(known), "flags": "later", "of_later": "x"}
    await prepared.rows.commit(
        keys.REGISTRIES, keys.REGISTRY_PARTITION, [Update("another", theirs)]
    )

    await records.change("another", "one", lambda it: replace(it, grace=Grace(HOUR)), NOW)

    row = await prepared.rows.get(keys.REGISTRIES, keys.REGISTRY_PARTITION, "another")
    assert row
    assert {name: row.values[name] for name in theirs} == theirs
    container = prepared.beside._container
    assert container
    kept = json.loads(container.objects[keys.registry("one", NOW)].data)
    assert json.loads(kept["policies"]) == known
    assert Grace.read(kept["grace"]) == Grace.read(str(row.values["grace"])) == Grace(HOUR)


def read(cell: object) -> Any:
    return orjson.loads(str(cell))
