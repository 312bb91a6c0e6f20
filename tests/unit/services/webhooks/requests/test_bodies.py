import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.formats.json import JSONFormat

from shared.events import Cause, ManifestDeleted, ManifestPushed, ManifestRotted, TagDeleted
from shared.model.webhooks.webhook import Form
from shared.services.webhooks.requests.bodies import Notice, body_of, event_id

AT = datetime(2017, 11, 17, 16, 52, 1, 343145, tzinfo=UTC)
NAME = "20171117T165201343145-cb8c39719adc488bbdd843cbb4974ff5"
HOST = "myregistry.azurecr.io"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
DIGEST = f"sha256:{'80f0d5c8' * 8}"
BY = Cause(
    "me", "3cbb6949-7549-4fa1-86cd-a6d5451dffc7", HOST, "PUT", "docker/17.09.0-ce go/go1.8.3"
)


def pushed(tag: str = "v1", by: Cause = BY) -> Notice:
    event = ManifestPushed(DIGEST, tag, DOCKER, 524, by, AT)
    return Notice.of(NAME, "hello-world", event, "fallback.example")


def deleted(by: Cause = BY) -> Notice:
    event = ManifestDeleted(DIGEST, DOCKER, by, AT)
    return Notice.of(NAME, "hello-world", event, "fallback.example")


def ping() -> Notice:
    return Notice(NAME, AT, HOST)


def body(notice: Notice) -> Any:
    return json.loads(body_of(notice, Form.ACR))


def as_cloud_event(notice: Notice) -> Any:
    return json.loads(body_of(notice, Form.CLOUDEVENTS))


def test_a_push_is_told_as_acr_does_to_the_byte() -> None:
    assert body_of(pushed(), Form.ACR).decode() == (
        '{"id":"cb8c3971-9adc-488b-bdd8-43cbb4974ff5","timestamp":"2017-11-17T16:52:01.343145000Z",'
        '"action":"push","target":{"mediaType":"application/vnd.docker.distribution.manifest.v2+json",'
        f'"size":524,"digest":"{DIGEST}","length":524,"repository":"hello-world","tag":"v1"}},'
        '"request":{"id":"3cbb6949-7549-4fa1-86cd-a6d5451dffc7","host":"myregistry.azurecr.io",'
        '"method":"PUT","useragent":"docker/17.09.0-ce go/go1.8.3"}}'
    )


def test_a_deletion_is_told_as_acr_does_to_the_byte() -> None:
    by = Cause(
        "me", "3d78b540-ab61-4f75-807f-7ca9ecf445b3", HOST, "DELETE", "python-requests/2.18.4"
    )
    assert body_of(deleted(by), Form.ACR).decode() == (
        '{"id":"cb8c3971-9adc-488b-bdd8-43cbb4974ff5","timestamp":"2017-11-17T16:52:01.343145000Z",'
        '"action":"delete","target":{"mediaType":'
        f'"application/vnd.docker.distribution.manifest.v2+json","digest":"{DIGEST}",'
        '"repository":"hello-world"},'
        '"request":{"id":"3d78b540-ab61-4f75-807f-7ca9ecf445b3","host":"myregistry.azurecr.io",'
        '"method":"DELETE","useragent":"python-requests/2.18.4"}}'
    )


@pytest.mark.parametrize("at", [AT, AT.replace(microsecond=0)])
def test_a_ping_has_104_bytes(at: datetime) -> None:
    told = body_of(Notice(NAME, at, HOST), Form.ACR)
    assert len(told) == 104
    assert told.decode() == (
        '{"id":"cb8c3971-9adc-488b-bdd8-43cbb4974ff5","timestamp":'
        f'"2017-11-17T16:52:01.{at.microsecond:06}0Z","action":"ping"}}'
    )


def test_a_push_without_a_tag_has_none() -> None:
    assert "tag" not in body(pushed(""))["target"]


def test_a_push_has_a_request_whatever_brought_it() -> None:
    assert body(pushed(by=Cause("registry")))["request"] == {
        "id": "cb8c3971-9adc-488b-bdd8-43cbb4974ff5",
        "host": "fallback.example",
        "method": "PUT",
    }
    assert body(deleted(Cause("registry")))["request"]["method"] == "DELETE"


def test_what_has_rotted_is_a_deletion() -> None:
    rotted = ManifestRotted(DIGEST, DOCKER, BY, AT)
    assert body(Notice.of(NAME, "hello-world", rotted, HOST))["action"] == "delete"


def test_a_deleted_tag_is_told_to_nobody() -> None:
    with pytest.raises(ValueError, match="TagDeleted"):
        body_of(Notice.of(NAME, "hello-world", TagDeleted("v1", BY, AT), HOST), Form.ACR)


def test_times_sort_as_texts() -> None:
    whole = AT.replace(microsecond=0)
    times = [
        body(Notice.of(NAME, "a", ManifestPushed(DIGEST, "", DOCKER, 1, BY, at), HOST))
        for at in (whole, whole.replace(microsecond=10))
    ]
    assert times[0]["timestamp"] < times[1]["timestamp"]


def test_an_id_is_a_uuid_of_what_the_row_is_named_by() -> None:
    assert event_id(NAME) == pushed().id == "cb8c3971-9adc-488b-bdd8-43cbb4974ff5"


def test_what_clients_call_themselves_is_ascii_outside() -> None:
    strange = body_of(pushed(by=Cause("me", "id", HOST, "PUT", 'é"\n\x00')), Form.ACR)
    assert strange.isascii()
    assert json.loads(strange)["request"]["useragent"] == 'é"\n\x00'


def test_a_cloud_event_of_a_push() -> None:
    assert as_cloud_event(pushed()) == {
        "specversion": "1.0",
        "id": "cb8c3971-9adc-488b-bdd8-43cbb4974ff5",
        "source": "https://fallback.example",
        "type": "Microsoft.ContainerRegistry.ImagePushed",
        "subject": "hello-world:v1",
        "time": "2017-11-17T16:52:01.343145Z",
        "datacontenttype": "application/json",
        "data": body(pushed()),
    }


@pytest.mark.parametrize(
    ("notice", "kind", "subject"),
    [
        (pushed(""), "ImagePushed", f"hello-world@{DIGEST}"),
        (deleted(), "ImageDeleted", f"hello-world@{DIGEST}"),
        (ping(), "Ping", None),
    ],
)
def test_types_and_subjects_of_cloud_events(notice: Notice, kind: str, subject: str) -> None:
    told = JSONFormat().read(None, body_of(notice, Form.CLOUDEVENTS))
    assert told.get_type() == f"Microsoft.ContainerRegistry.{kind}"
    assert told.get_subject() == subject
    assert told.get_time() == AT
    assert told.get_data() == body(notice)
