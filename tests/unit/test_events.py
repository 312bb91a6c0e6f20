from datetime import UTC, datetime

import pytest

from shared.events import Event, ManifestDeleted, ManifestPushed, TagDeleted, fields, read

AT = datetime(2024, 1, 1, tzinfo=UTC)


def test_an_event_is_told_by_its_name_and_fields() -> None:
    assert fields(ManifestPushed("d", "t", "m", 7, "me", AT)) == {
        "event": "ManifestPushed",
        "digest": "d",
        "tag": "t",
        "media_type": "m",
        "size": 7,
        "by": "me",
        "at": AT,
        "subject": "",
    }
    assert fields(ManifestDeleted("d", "m", "me", AT))["event"] == "ManifestDeleted"
    assert fields(TagDeleted("t", "me", AT)) == {
        "event": "TagDeleted",
        "tag": "t",
        "by": "me",
        "at": AT,
    }


@pytest.mark.parametrize(
    "event",
    [
        ManifestPushed("d", "t", "m", 7, "me", AT, "s"),
        ManifestDeleted("d", "m", "me", AT, "s"),
        TagDeleted("t", "me", AT),
    ],
)
def test_an_event_is_read_as_it_was_told(event: Event) -> None:
    assert read(fields(event)) == event


def test_an_event_from_before_it_had_a_subject_is_read() -> None:
    values = {"event": "ManifestDeleted", "digest": "d", "media_type": "m", "by": "me", "at": AT}
    assert read(values) == ManifestDeleted("d", "m", "me", AT)
