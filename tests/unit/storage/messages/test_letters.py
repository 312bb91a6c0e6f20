import json
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import HttpResponseError

from shared.storage.messages.letters import Letter, Sleeper, reason
from shared.storage.ports import Unavailable

NOW, ID = datetime(2026, 1, 1, tzinfo=UTC), "0" * 31 + "a"
LATER = NOW + timedelta(days=1)
BODIES = ["", "text", '{"kind": "k"}', "two\nlines", "\n", '{"a": "\\n"}', "Grüße \x00"]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("is_copy", [True, False])
@pytest.mark.parametrize("rounds", [True, False])
def test_a_letter_is_read_as_it_was_written(body: str, is_copy: bool, rounds: bool) -> None:
    letter = Letter(ID, NOW, body, 3, 'the "table"\nis busy', is_copy, rounds)
    read = Letter.read(letter.text(), LATER)
    assert (read, read.is_copy, read.is_of_rounds) == (letter, is_copy, rounds)
    sleeper = Sleeper("events", LATER, letter)
    read_sleeper = Sleeper.read(sleeper.text())
    assert (read_sleeper, read_sleeper.letter.is_copy) == (sleeper, is_copy)


def test_the_text_stands_as_it_was_sent_below_what_became_of_it() -> None:
    head, body = Letter(ID, NOW, '{"kind": "k"}', 2, "why").text().split("\n")
    assert json.loads(head) == {"id": ID, "sent": NOW.isoformat(), "tries": 2, "why": "why"}
    assert body == '{"kind": "k"}'


@pytest.mark.parametrize(
    "text",
    [
        *BODIES,
        "[]\ntext",
        "null\ntext",
        "{}\ntext",
        '{"id": "short", "sent": "2026-01-01T00:00:00+00:00", "tries": 0, "why": ""}\ntext',
        f'{{"id": "{ID}", "sent": "2026-01-01T00:00:00", "tries": 0, "why": ""}}\ntext',
        f'{{"id": "{ID}", "sent": "2026-01-01T00:00:00+00:00", "tries": "x", "why": ""}}\ntext',
        '{"id": 1, "sent": 2}\ntext',
    ],
)
def test_what_is_no_letter_is_a_text_that_is_sent_now(text: str) -> None:
    letter = Letter.read(text, NOW)
    assert (letter.body, letter.sent, letter.tries, letter.why) == (text, NOW, 0, "")
    assert Letter.read(text, LATER).id == letter.id
    assert Letter.read(text + "x", NOW).id != letter.id


def test_a_letter_that_failed_is_the_same_once_more() -> None:
    letter = Letter(ID, NOW, "text", is_copy=True).failed("one").failed("two")
    assert letter == Letter(ID, NOW, "text", 2, "two")
    assert letter.is_copy


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text",
        "1",
        "[]",
        "null",
        "{}",
        "[]\ntext",
        '{"queue": "q", "body": "", "due": "soon", "sent": "2026-01-01T00:00:00+00:00"}',
        '{"queue": "q", "body": "", "due": 1, "sent": 2}',
        Letter(ID, NOW, "awake").text(),
    ],
)
def test_what_is_no_sleeper_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Sleeper.read(text)


def test_what_an_app_of_before_put_to_sleep_is_read() -> None:
    said = {"queue": "events", "body": "text", "due": LATER.isoformat(), "sent": NOW.isoformat()}
    sleeper = Sleeper.read(json.dumps(said))
    assert (sleeper.queue, sleeper.due) == ("events", LATER)
    assert (sleeper.letter.body, sleeper.letter.sent, sleeper.letter.tries) == ("text", NOW, 0)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (Unavailable("the table is busy"), "Unavailable: the table is busy"),
        (KeyError("digest"), "KeyError: 'digest'"),
        (ValueError(), "ValueError:"),
        (ValueError("one\n  two\x00"), "ValueError: one two\x00"),
        (
            HttpResponseError("GET https://a.test/b?sv=1&sig=c%3D failed"),
            "HttpResponseError: GET https://a.test/b?… failed",
        ),
    ],
)
def test_a_reason_is_one_line_and_tells_no_secret(error: Exception, why: str) -> None:
    assert reason(error) == why


def test_a_reason_is_cut() -> None:
    assert len(reason(ValueError("x" * 1_000))) == 300
