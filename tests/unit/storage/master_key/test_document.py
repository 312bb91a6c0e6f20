import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.storage.master_key.document import Document, DocumentUnreadable, KeptKey, State
from shared.storage.ports import Wrapped

NOW = datetime(2026, 5, 4, 3, 2, 1, 6, tzinfo=UTC)
KEY = KeptKey("k1", State.CURRENT, NOW, NOW - timedelta(days=1), Wrapped("v1", b"\x00\xff"))
DOCUMENT = Document(
    "account",
    NOW + timedelta(hours=1),
    [KEY, replace(KEY, id="k2", state=State.ANNOUNCED), KEY.turned(State.OPENING, NOW)],
)


def test_a_document_reads_as_it_was_written() -> None:
    assert Document.read(DOCUMENT.text()) == DOCUMENT
    assert DOCUMENT.current == KEY
    assert [key.id for key in DOCUMENT.of(State.ANNOUNCED, State.OPENING)] == ["k2", "k1"]


def test_its_form_is_kept_by_later_versions() -> None:
    assert json.loads(Document("account", NOW, [KEY]).text()) == {
        "version": 1,
        "account": "account",
        "written": "2026-05-04T03:02:01.000006+00:00",
        "keys": [
            {
                "id": "k1",
                "state": "current",
                "since": "2026-05-04T03:02:01.000006+00:00",
                "made": "2026-05-03T03:02:01.000006+00:00",
                "vault_version": "v1",
                "wrapped": "AP8=",
            }
        ],
    }


def test_one_that_takes_its_place_is_later_whatever_the_clock_says() -> None:
    assert DOCUMENT.anew([KEY], NOW + timedelta(days=1)).written == NOW + timedelta(days=1)
    assert DOCUMENT.anew([KEY], NOW).written > DOCUMENT.written
    assert DOCUMENT.anew([KEY], NOW).keys == [KEY]


def changed(**values: Any) -> bytes:
    return json.dumps({**json.loads(DOCUMENT.text()), **values}).encode()


def test_another_version_is_told() -> None:
    with pytest.raises(DocumentUnreadable, match="has version 2, and this app reads 1: deploy"):
        Document.read(changed(version=2))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'"version"',
        changed(written=None),
        changed(keys=[]),
        changed(keys=None),
        changed(keys=[KEY.said(), KEY.said()]),
        changed(keys=[{**KEY.said(), "wrapped": "?"}]),
        changed(keys=[{**KEY.said(), "state": "other"}]),
        changed(keys=[{**KEY.said(), "since": "yesterday"}]),
    ],
)
def test_what_is_no_document_is_told(body: bytes) -> None:
    with pytest.raises(DocumentUnreadable, match=r"cannot be read .*: bring an earlier version"):
        Document.read(body)
