"""Messages of the queue `blob-events`: what Event Grid tells, and what is none of it."""

import json
from typing import Any

import pytest

from shared.storage import keys
from shared.storage.messages.created import MOST_EVENTS, Created
from shared.storage.messages.letters import BODY_BYTES
from shared.storage.messages.verifying import ToVerify
from tests.support.event_grid import CREATED, SCHEMAS, event

NAME = keys.object_name("g" * 32, "ab" * 16)
OTHER = keys.object_name("g" * 32, "cd" * 16)
GOOD = event(NAME)


def read(said: object) -> Created:
    return Created.read(json.dumps(said).encode())


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("is_list", [False, True])
def test_an_event_names_an_object(schema: str, is_list: bool) -> None:
    one = event(NAME, schema=schema)
    assert read([one] if is_list else one) == Created(ToVerify.named(NAME))


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize(
    ("container", "kind"),
    [
        ("registries", CREATED),
        ("content2", CREATED),
        ("content%32", CREATED),
        ("content", "Microsoft.Storage.BlobDeleted"),
        ("content", "Microsoft.Storage.BlobTierChanged"),
        ("content", "Microsoft.EventGrid.SubscriptionValidationEvent"),
    ],
)
def test_what_is_told_of_others_asks_for_nothing(schema: str, container: str, kind: str) -> None:
    asked = event("any name/at all", container=container, schema=schema, kind=kind)
    assert read(asked) == read([asked, asked]) == read([]) == Created()


def test_several_events_are_kept_apart_but_for_those_that_ask_for_nothing() -> None:
    foreign = event("a", container="theirs")
    several = read([GOOD, foreign, event("no name of ours"), event(OTHER, schema=SCHEMAS[1]), {}])
    first, bad, second, none = several.several
    assert read(json.loads(first)) == Created(ToVerify.named(NAME))
    assert read(json.loads(second)) == Created(ToVerify.named(OTHER))
    for text in (bad, none):
        with pytest.raises(ValueError, match=r".+"):
            Created.read(text.encode())


def test_what_hangs_on_an_event_goes_no_further() -> None:
    data: list[Any] = []
    for _ in range(900):
        data = [data]
    (first, _) = read([{**GOOD, "data": data, "id": 7}, GOOD]).several
    assert json.loads(first) == {name: GOOD[name] for name in ("eventType", "subject")}


@pytest.mark.parametrize(
    "said",
    [
        None,
        7,
        "text",
        {},
        [7],
        [[GOOD]],
        [GOOD, [GOOD]],
        [GOOD] * (MOST_EVENTS + 1),
        {**GOOD, "eventType": None},
        {**GOOD, "eventType": 7},
        {**GOOD, "subject": None},
        {**GOOD, "subject": ["/blobServices/default/containers/content/blobs/a"]},
        {**GOOD, "subject": ""},
        {**GOOD, "subject": "/blobServices/default/containers/content"},
        {**GOOD, "subject": "/blobServices/default/containers/content/blobs/"},
        {**GOOD, "subject": "x" + GOOD["subject"]},
        event("../elsewhere"),
        event(f"{NAME}\n"),
        event(NAME.replace("/", "%2F")),
        event(f"{NAME}%20"),
    ],
)
def test_what_is_no_event_of_an_object_is_refused(said: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read(said)


@pytest.mark.parametrize(
    "body", [b"", b"no json", b"\xff", b"[" * 2_000, b'{"a":' * 2_000, b" " * (BODY_BYTES + 1)]
)
def test_what_cannot_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Created.read(body)


def test_as_many_events_as_a_message_holds_are_never_too_many() -> None:
    required = ("id", "source", "specversion", "type", "subject")
    one = event(NAME, schema=SCHEMAS[1])
    least = json.dumps({name: one[name] for name in required}, separators=(",", ":"))
    assert len(least) * MOST_EVENTS > BODY_BYTES
