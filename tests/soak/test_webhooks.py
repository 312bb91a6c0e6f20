"""The soak's ears: what a receiver notes, how a moody one fares, and which of it is a fault."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest
from azure.data.tables import TableServiceClient
from standardwebhooks import Webhook as StandardWebhook

from infra.devhost.storage import Azurite
from shared.storage import keys
from tests.soak import leftovers, listeners
from tests.soak.listeners import Listener, Told, listening
from tests.soak.model import Content, Known
from tests.soak.webhooks import _contradictions, _disorder

DIGEST = f"sha256:{'a' * 64}"
AT = "2026-11-28T01:02:03.000001000Z"
OTHER = "2026-11-28T01:02:03.000002000Z"
KIND = "0" * 32
TARGET = {"repository": "soak/0", "digest": DIGEST, "tag": "v1"}


@pytest.fixture
def listener() -> Iterator[Listener]:
    one = Listener("everything")
    with listening([one]):
        yield one


def post(
    listener: Listener,
    event: str = KIND,
    *,
    timestamp: str = AT,
    said: str = "",
    secret: str = "",
) -> int:
    content = {"id": said or event, "timestamp": timestamp, "action": "push", "target": TARGET}
    body = json.dumps(content).encode()
    now, key = datetime.now(UTC), secret or listener.secret
    headers = {
        "webhook-id": event,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": StandardWebhook(key).sign(event, now, body.decode()),
    }
    return httpx.post(listener.address, content=body, headers=headers).status_code


def test_what_comes_twice_is_one_event(listener: Listener) -> None:
    assert [post(listener), post(listener)] == [200, 200]

    assert listener.told == {KIND: Told("push", "soak/0", DIGEST, "v1", AT)}
    assert listener.changes() == {("AFTER_PUSH", "soak/0", DIGEST, "v1"): 1}
    assert len(listener.moments) == 2
    assert not listener.faults


def test_a_signature_that_is_wrong_is_a_fault(listener: Listener) -> None:
    assert post(listener, secret=Listener("another").secret) == 200
    assert len(listener.faults) == 1


def test_an_event_that_is_told_otherwise_another_time_is_a_fault(listener: Listener) -> None:
    post(listener)
    post(listener, timestamp=OTHER)
    post(listener, said="1")

    assert len(listener.faults) == 2


def test_a_moody_one_is_told_of_what_it_took_alone(listener: Listener) -> None:
    listener.is_moody = True
    answers = [post(listener) for _ in range(listeners._SPELL + 2)]

    assert answers == [500] * listeners._SPELL + [200] * 2
    assert len(listener.told) == 1


@pytest.mark.parametrize(("last", "status"), [("0", 500), ("1", 503)])
def test_a_mishap_hangs_on_the_event(listener: Listener, last: str, status: int) -> None:
    for _ in range(listeners._SPELL):  # the spell in which all fails
        post(listener)
    listener.is_moody, event = True, f"0001{'0' * 27}{last}"

    assert [post(listener, event) for _ in range(3)] == [status, status, 200]


def test_the_last_event_of_a_tag_says_where_it_points(listener: Listener) -> None:
    manifest = Content(b"manifest")
    known = Known("soak/0", manifest)
    place = ("soak/0", "v1")
    listener.told["1"] = Told("push", "soak/0", manifest.digest, "v1", OTHER)
    listener.told["2"] = Told("push", "soak/0", DIGEST, "v1", AT)
    assert not [*_disorder(listener, {place: known})]
    assert [*_disorder(listener, {("soak/0", "v2"): known})]

    listener.told["3"] = Told("push", "soak/0", DIGEST, "v1", OTHER)
    assert [*_disorder(listener, {place: known})]


def test_two_receivers_are_told_the_same() -> None:
    one, other = Listener("one"), Listener("other")
    one.told["1"] = Told("push", "soak/0", DIGEST, "v1", AT)
    other.told["1"] = Told("push", "soak/0", DIGEST, "v1", AT)
    assert not [*_contradictions([one, other])]

    other.told["1"] = Told("push", "soak/0", DIGEST, "v1", OTHER)
    assert [*_contradictions([one, other])]


@pytest.mark.protocol
@pytest.mark.direct("the emulator alone is asked")
def test_what_is_left_over_of_webhooks_is_found(emulator: Azurite) -> None:
    generation = "9" * 32
    rows: list[tuple[str, str, dict[str, object]]] = [
        (generation, "hooka", {"id": "a"}),
        (f"{generation}|a", "delivery|1", {"state": "delivered"}),
        (f"{generation}|a", "attempt|1|1", {"status": 200}),
        (f"{generation}|a", "delivery|2", {"state": "failed", "why": "it answered 400"}),
        (f"{generation}|a", "waiting|3", {}),
        (f"{generation}|b", "attempt|4|1", {}),
    ]
    with TableServiceClient.from_connection_string(emulator.connection_string) as tables:
        table = tables.create_table(keys.WEBHOOKS)
        for partition, key, values in rows:
            table.create_entity({"PartitionKey": partition, "RowKey": key, **values})
        found = leftovers.undelivered(tables)

    assert {one.partition(": ")[2] for one in found} == {
        "delivery|2 is left: it answered 400",
        "waiting|3 is left: None",
        "attempt|4|1 is left: None",
    }
