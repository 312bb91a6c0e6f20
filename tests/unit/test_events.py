import json
from datetime import UTC, datetime

import pytest

from shared.events import (
    Cause,
    Event,
    ManifestDeleted,
    ManifestPushed,
    ManifestRotted,
    RepositoryDeleted,
    TagDeleted,
    read,
    values,
)

AT = datetime(2024, 1, 1, tzinfo=UTC)
BY = Cause("me", "id", "registry.test", "PUT", "docker/1")


def test_an_event_is_told_by_its_name_and_values() -> None:
    assert values(ManifestPushed("d", "t", "m", 7, BY, AT, previous="p")) == {
        "event": "ManifestPushed",
        "digest": "d",
        "tag": "t",
        "media_type": "m",
        "size": 7,
        "by": "me",
        "request_id": "id",
        "host": "registry.test",
        "method": "PUT",
        "user_agent": "docker/1",
        "at": AT,
        "subject": "",
        "previous": "p",
    }


@pytest.mark.parametrize(
    "event",
    [
        ManifestPushed("d", "t", "m", 7, BY, AT, "s"),
        ManifestDeleted("d", "m", BY, AT, "s", "l"),
        ManifestDeleted("d", "m", BY, AT, "s", "l", "of all"),
        ManifestRotted("d", "m", BY, AT, "s", "l"),
        TagDeleted("t", BY, AT, "d"),
        RepositoryDeleted("id", Cause("me"), AT),
    ],
)
def test_an_event_is_read_as_it_was_told(event: Event) -> None:
    assert read(values(event)) == event
    assert read(json.loads(json.dumps(values(event), default=datetime.isoformat))) == event


def test_an_event_that_the_version_before_told_is_read() -> None:
    event = ManifestDeleted("d", "m", BY, AT, "s", "l")
    assert read({name: it for name, it in values(event).items() if name != "deletion"}) == event
    with pytest.raises(KeyError):
        read({name: it for name, it in values(event).items() if name != "digest"})


def test_a_user_agent_is_cut() -> None:
    assert len(Cause("me", user_agent="x" * 10_000).user_agent) == 200
