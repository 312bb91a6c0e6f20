from datetime import UTC, datetime

from shared.events import ManifestDeleted, ManifestPushed, TagDeleted, fields

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
    }
    assert fields(ManifestDeleted("d", "m", "me", AT))["event"] == "ManifestDeleted"
    assert fields(TagDeleted("t", "me", AT)) == {
        "event": "TagDeleted",
        "tag": "t",
        "by": "me",
        "at": AT,
    }
