from base64 import b64encode
from datetime import UTC, datetime
from time import process_time

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
POSTING = posting_of(WEBHOOK, CALLBACK, pushed(), NOW)


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
    headers = {"Location": f"({secret})", f"x-{secret}": ""}
    reply = Reply(400, f"no {secret}", "1.1", headers, f"got {secret}!".encode())
    shown = masked_reply(reply, CALLBACK, POSTING)
    assert (shown.reason, shown.headers, shown.body) == (
        "no ***",
        {"Location": "(***)", "x-***": ""},
        b"got ***!",
    )


def test_the_basic_authorization_that_we_made_is_masked_in_an_answer() -> None:
    callback = Callback("https://$site:pw@ci.example/")
    authorization = posting_of(WEBHOOK, callback, pushed(), NOW).headers["Authorization"]
    reply = Reply(200, "OK", "1.1", {}, authorization.split()[1].encode())
    assert masked_reply(reply, callback, POSTING).body == b"***"


@pytest.mark.parametrize("length", [6, 10])
def test_a_secret_that_an_answer_was_cut_in_is_masked(length: int) -> None:
    filling = b"." * (ANSWER_BYTES - length)
    reply = Reply(200, "OK", "1.1", {}, filling + b"old-secret"[:length])
    assert masked_reply(reply, CALLBACK, POSTING).body == filling + b"***"


SPELLED = [
    "C0DE/7F3A9",
    "c0de%2f7f3a9",
    "c0de%252f7f3a9",
    r"c0de\/7f3a9",
    r"c0de\u002f7f3a9",
    r"c0de\x2f7f3a9",
    r"c0de\\/7f3a9",
    "c0de&#47;7f3a9",
    "c0de&#x2F;7f3a9",
    "c0de&sol;7f3a9",
    "c0de&amp;#x2f;7f3a9",
    r"c0de\u0026#x2F;7f3a9",
]


@pytest.mark.parametrize("spelled", SPELLED)
def test_a_secret_is_known_in_other_spellings(spelled: str) -> None:
    reply = Reply(200, spelled, "1.1", {"Location": spelled, spelled: ""}, spelled.encode())
    shown = masked_reply(reply, CALLBACK, POSTING)
    assert (shown.reason, shown.headers, shown.body) == (
        "***",
        {"Location": "***", "***": ""},
        b"***",
    )


KEY = bytes(range(24))
FORMS = [
    KEY.hex().encode(),
    KEY,
    b64encode(b"old-secret"),
    b64encode(b"$site:p@ssword"),
    b"$site",
    b"/services/XXXX",
    POSTING.headers["webhook-signature"].encode(),
    POSTING.headers["webhook-signature"].split(",")[-1].encode(),
    POSTING.headers["X-Hub-Signature"].encode(),
    POSTING.headers["X-Hub-Signature"].partition("=")[2].upper().encode(),
]


@pytest.mark.parametrize("form", FORMS)
def test_what_was_sent_and_what_keys_are_is_masked(form: bytes) -> None:
    reply = Reply(200, "OK", "1.1", {}, b"<" + form + b">")
    assert masked_reply(reply, CALLBACK, POSTING).body == b"<***>"


def test_of_a_basic_authorization_of_ones_own_both_parts_are_masked() -> None:
    headers = {"Authorization": f"basic {b64encode(b'user:pass').decode()}"}
    callback = Callback("https://ci.example/", headers)
    posting = posting_of(WEBHOOK, callback, pushed(), NOW)
    reply = Reply(200, "OK", "1.1", {}, b"basic for user, with pass")
    assert masked_reply(reply, callback, posting).body == b"basic for ***, with ***"


@pytest.mark.parametrize("code", ["c0de", "c0de1", "c0de12"])
def test_a_short_value_of_a_query_is_masked(code: str) -> None:
    callback = Callback(f"https://ci.example/hook?code={code}")
    posting = posting_of(WEBHOOK, callback, pushed(), NOW)
    reply = Reply(200, code, "1.1", {}, b"hook")
    shown = masked_reply(reply, callback, posting)
    assert (shown.reason, shown.body) == ("***", b"hook")


@pytest.mark.parametrize(
    "uri", ["https://ci.example/?c0de12", "https://ci.example/hook?c0de12&a=b"]
)
def test_a_query_without_a_name_is_masked(uri: str) -> None:
    callback = Callback(uri)
    posting = posting_of(WEBHOOK, callback, pushed(), NOW)
    reply = Reply(200, "OK", "1.1", {}, b"<c0de12>")
    assert masked_reply(reply, callback, posting).body == b"<***>"


@pytest.mark.parametrize("cut", ["%", "%2", "\\", "\\u002", "&", "&#4", "&sol", "%252", "&amp;#x2"])
def test_a_secret_that_an_answer_was_cut_in_is_masked_up_to_half_a_spelling(cut: str) -> None:
    callback = Callback("https://ci.example/?key=abcdef/7f3a9")
    posting = posting_of(WEBHOOK, callback, pushed(), NOW)
    reply = Reply(200, "OK", "1.1", {}, f"<abcdef{cut}".encode())
    assert masked_reply(reply, callback, posting).body.startswith(b"<***")


@pytest.mark.parametrize("field", ["reason", "headers"])
def test_where_a_head_was_cut_the_begin_of_a_secret_is_masked(field: str) -> None:
    cut = "." * 90 + "c0de/7"
    reply = Reply(200, cut, "1.1", {"Location": cut}, b"")
    shown = masked_reply(reply, CALLBACK, POSTING)
    assert "c0de" not in str(getattr(shown, field))


def test_names_of_headers_that_are_masked_share_one() -> None:
    reply = Reply(200, "", "1.1", {"old-secret": "1", "k3y-of-ci": "2"}, b"")
    assert masked_reply(reply, CALLBACK, POSTING).headers == {"***": "1, 2"}


@pytest.mark.parametrize("filling", [b"&amp;", b"%252525", rb"\u0026amp;", b"old-secre", b"\xff"])
def test_the_largest_answer_takes_little_time(filling: bytes) -> None:
    body = (filling * ANSWER_BYTES)[:ANSWER_BYTES]
    reply = Reply(200, "", "1.1", {"x": body.decode("latin-1")}, body)
    began = process_time()
    masked_reply(reply, CALLBACK, POSTING)
    assert process_time() - began < 1


def test_an_answer_without_secrets_stays() -> None:
    reply = Reply(200, "OK", "1.1", {"Content-Type": "text/json"}, b"accepted \xff")
    assert masked_reply(reply, CALLBACK, POSTING) == reply
