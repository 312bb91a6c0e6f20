import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook as Standard
from standardwebhooks import WebhookVerificationError

from shared.model.outbound.posting import Posting
from shared.model.webhooks.webhook import Callback, Form, Hmac, Secret, Webhook
from shared.services.webhooks.requests.bodies import Notice, body_of
from shared.services.webhooks.requests.posting import posting_of
from tests.unit.services.webhooks.requests.test_bodies import NAME, ping, pushed

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
WEBHOOK = Webhook("hook01", "id", NOW)
CALLBACK = Callback("https://ci.example/hook")
ID = "cb8c3971-9adc-488b-bdd8-43cbb4974ff5"
OLD, NEW = Secret("old", NOW + timedelta(hours=1)), Secret("new")


def post(
    callback: Callback = CALLBACK,
    webhook: Webhook = WEBHOOK,
    notice: Notice | None = None,
    now: datetime = NOW,
) -> Posting:
    return posting_of(webhook, callback, notice or pushed(), now)


def verified(posting: Posting, secret: str, at: datetime = NOW) -> None:
    """Verify as a receiver's library does, whose clock we cannot set."""
    stamp = posting.headers["webhook-timestamp"]
    assert stamp == str(int(at.timestamp()))
    signed = Standard(secret.encode()).sign(
        posting.headers["webhook-id"], at, posting.body.decode()
    )
    if signed not in posting.headers["webhook-signature"].split(" "):
        raise WebhookVerificationError


def test_a_webhook_without_secrets_sends_what_acr_sends() -> None:
    callback = Callback("http://www.microsoft.com", {"key": "value"})
    assert post(callback, notice=ping()) == Posting(
        "http://www.microsoft.com/",
        {
            "key": "value",
            "User-Agent": "AzureContainerRegistry/1.0",
            "Content-Type": "application/json; charset=utf-8",
        },
        body_of(ping(), Form.ACR),
        10,
    )
    assert [*post(callback).headers] == ["key", "User-Agent", "Content-Type"]


def test_a_cloud_event_says_so_and_is_a_notification() -> None:
    posting = post(webhook=replace(WEBHOOK, form=Form.CLOUDEVENTS))
    assert posting.headers["Content-Type"] == "application/cloudevents+json"
    assert posting.headers["aeg-event-type"] == "Notification"
    assert json.loads(posting.body)["specversion"] == "1.0"


def test_time_and_authority_are_the_webhooks() -> None:
    posting = post(webhook=replace(WEBHOOK, seconds=60, ca="PEM"))
    assert (posting.seconds, posting.ca) == (60, "PEM")


@pytest.mark.parametrize("name", ["Content-Type", "USER-AGENT", "authorization"])
def test_a_custom_header_wins(name: str) -> None:
    headers = post(Callback("https://a:b@ci.example/", {name: "mine"})).headers
    assert headers[name] == "mine"
    assert [each.lower() for each in headers].count(name.lower()) == 1


@pytest.mark.parametrize(
    ("uri", "url", "authorization"),
    [
        ("https://ci.example", "https://ci.example/", None),
        ("https://ci.example:8443/a%2Fb?x=1%20&y", "https://ci.example:8443/a%2Fb?x=1%20&y", None),
        ("https://ci.example/a@b", "https://ci.example/a@b", None),
        ("HTTPS://[fd00::1]:1/", "https://[fd00::1]:1/", None),
        # $site:pw
        ("https://$site:pw@app.scm.example/docker/hook", "https://app.scm.example/docker/hook",
         "Basic JHNpdGU6cHc="),
        # a@b:c:d/é
        ("https://a%40b:c:d%2F%C3%A9@ci.example", "https://ci.example/", "Basic YUBiOmM6ZC/DqQ=="),
        # token:
        ("https://token@ci.example/", "https://ci.example/", "Basic dG9rZW46"),
    ],
)  # fmt: skip
def test_user_information_is_sent_as_basic(uri: str, url: str, authorization: str | None) -> None:
    posting = post(Callback(uri))
    assert posting.url == url
    assert posting.headers.get("Authorization") == authorization


def test_what_is_signed_verifies_with_the_secret() -> None:
    posting = post(replace(CALLBACK, secrets=[NEW]))
    verified(posting, "new")
    with pytest.raises(WebhookVerificationError):
        verified(posting, "other")
    assert posting.headers["webhook-id"] == ID


def test_a_secret_of_the_library_is_decoded() -> None:
    key = bytes(range(24))
    posting = post(replace(CALLBACK, secrets=[Secret("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX")]))
    assert posting.headers["webhook-signature"] == Standard(key).sign(
        ID, NOW, posting.body.decode()
    )


def test_during_rotation_both_secrets_verify() -> None:
    posting = post(replace(CALLBACK, secrets=[NEW, OLD]))
    verified(posting, "new")
    verified(posting, "old")
    assert len(posting.headers["webhook-signature"].split(" ")) == 2


def test_after_rotation_the_old_secret_signs_no_more() -> None:
    posting = post(replace(CALLBACK, secrets=[NEW, OLD]), now=NOW + timedelta(hours=1))
    assert len(posting.headers["webhook-signature"].split(" ")) == 1
    verified(posting, "new", NOW + timedelta(hours=1))


def test_each_attempt_is_signed_anew_and_tells_the_same() -> None:
    signed, later = replace(CALLBACK, secrets=[NEW]), NOW + timedelta(hours=3)
    first, second = post(signed), post(signed, now=later)
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    verified(second, "new", later)
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
@pytest.mark.parametrize("is_bare", [True, False])
@pytest.mark.parametrize("text", ["new", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"])
def test_an_hmac_is_keyed_with_the_text_as_typed(algorithm: str, is_bare: bool, text: str) -> None:
    webhook = replace(WEBHOOK, hmacs=[Hmac("X-Signature", algorithm, is_bare)])
    posting = post(replace(CALLBACK, secrets=[Secret(text)]), webhook)
    digest = hmac.new(text.encode(), posting.body, getattr(hashlib, algorithm)).hexdigest()
    assert posting.headers["X-Signature"] == (digest if is_bare else f"{algorithm}={digest}")


def test_an_hmac_is_the_old_secrets_until_that_ends() -> None:
    webhook = replace(WEBHOOK, hmacs=[Hmac("X-Signature", "sha256", is_bare=True)])
    callback = replace(CALLBACK, secrets=[NEW, OLD])
    for now, text in [(NOW, b"old"), (NOW + timedelta(hours=1), b"new")]:
        posting = post(callback, webhook, now=now)
        digest = hmac.new(text, posting.body, hashlib.sha256).hexdigest()
        assert posting.headers["X-Signature"] == digest


def test_nothing_secret_is_in_what_is_told() -> None:
    callback = Callback("https://$site:pw@ci.example/x?code=7f3a", {"X-Key": "k3y"}, [NEW])
    assert not any(part in post(callback).body for part in (b"pw", b"7f3a", b"k3y", b"new"))
    assert NAME not in post(callback).url
