from datetime import UTC, datetime

import pytest

from shared.model.outbound.posting import ANSWER_BYTES, Reply
from shared.model.webhooks.webhook import Callback, Form, Hmac, Secret, Webhook
from shared.services.webhooks.requests.masking import masked_headers, masked_reply, origin_of
from shared.services.webhooks.requests.posting import posting_of
from tests.unit.services.webhooks.requests.test_bodies import pushed

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECRETS = [
    "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",
    "old-secret",
    "p%40ssword",
    "p@ssword",
    "c0de%2F7f3a9",
    "c0de/7f3a9",
    "XXXXXXXXXXXXXXXXXXXXXXXX",
    "t0ken-of-ci",
    "k3y-of-ci",
]
CALLBACK = Callback(
    "https://$site:p%40ssword@ci.example:8443/services/XXXXXXXXXXXXXXXXXXXXXXXX?code=c0de%2F7f3a9",
    {"Authorization": "Bearer t0ken-of-ci", "X-Key": "k3y-of-ci", "Content-Type": "text/json"},
    [Secret("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"), Secret("old-secret")],
)
WEBHOOK = Webhook("hook01", "id", NOW, hmacs=[Hmac("X-Hub-Signature", "sha1")])


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://$site:pw@app.scm.example/docker/hook?code=1", "https://app.scm.example"),
        ("HTTP://CI.example:8080", "http://CI.example:8080"),
        ("https://[fd00::1]:8443/hook", "https://[fd00::1]:8443"),
    ],
)
def test_of_an_address_scheme_host_and_port_are_shown(uri: str, shown: str) -> None:
    assert origin_of(uri) == shown


def test_of_headers_only_what_is_ours_and_no_key_is_shown() -> None:
    posting = posting_of(WEBHOOK, CALLBACK, pushed(), NOW)
    assert masked_headers(posting, CALLBACK) == {
        "Authorization": "***",
        "X-Key": "***",
        "Content-Type": "***",
        "User-Agent": "AzureContainerRegistry/1.0",
        "webhook-id": "cb8c3971-9adc-488b-bdd8-43cbb4974ff5",
        "webhook-timestamp": str(int(NOW.timestamp())),
        "webhook-signature": "***",
        "X-Hub-Signature": "***",
    }


def test_user_information_is_masked_as_a_header() -> None:
    callback = Callback("https://$site:pw@ci.example/")
    webhook = Webhook("hook01", "id", NOW, form=Form.CLOUDEVENTS)
    shown = masked_headers(posting_of(webhook, callback, pushed(), NOW), callback)
    assert shown["Authorization"] == "***"
    assert shown["Content-Type"] == "application/cloudevents+json"
    assert shown["aeg-event-type"] == "Notification"


@pytest.mark.parametrize("secret", SECRETS)
def test_an_answer_that_echoes_a_secret_is_masked(secret: str) -> None:
    reply = Reply(400, f"no {secret}", "1.1", {"Location": f"/{secret}"}, f"got {secret}!".encode())
    shown = masked_reply(reply, CALLBACK)
    assert (shown.reason, shown.headers, shown.body) == (
        "no ***",
        {"Location": "/***"},
        b"got ***!",
    )


def test_the_basic_authorization_that_we_made_is_masked_in_an_answer() -> None:
    callback = Callback("https://$site:pw@ci.example/")
    authorization = posting_of(WEBHOOK, callback, pushed(), NOW).headers["Authorization"]
    reply = Reply(200, "OK", "1.1", {}, authorization.encode())
    assert masked_reply(reply, callback).body == b"Basic ***"


@pytest.mark.parametrize("length", [6, 10])
def test_a_secret_that_an_answer_was_cut_in_is_masked(length: int) -> None:
    filling = b"." * (ANSWER_BYTES - length)
    reply = Reply(200, "OK", "1.1", {}, filling + b"old-secret"[:length])
    assert masked_reply(reply, CALLBACK).body == filling + b"***"


def test_an_answer_without_secrets_stays() -> None:
    reply = Reply(200, "OK", "1.1", {"Content-Type": "text/json"}, b"services \xff")
    assert masked_reply(reply, CALLBACK) == reply
