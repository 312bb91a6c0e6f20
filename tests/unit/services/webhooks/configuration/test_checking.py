from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shared.model.webhooks.webhook import Callback, Hmac, Secret, Webhook, WebhookInvalid
from shared.services.webhooks.configuration.checking import check, check_ca, check_uri, parse_hmac
from shared.services.webhooks.requests.signatures import fingerprint, key_of, whsec_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WEBHOOK = Webhook("hook01", "id", NOW)
CALLBACK = Callback("https://ci.example/hook")


def whsec(length: int) -> str:
    return whsec_of("x" * length)


def authority() -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ca")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return built.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


@pytest.mark.parametrize(
    "uri",
    [
        "https://ci.example",
        "HTTP://ci.example:8080/a?b=c%2F",
        "http://localhost:7072/hook",
        "http://10.0.0.1/",
        "https://[fd00::1]:8443/hook",
        "https://$site:pw@app.scm.example/docker/hook",
        "https://a%40b:p%3Aw@ci.example/",
        "https://ci.example/a@b:c",
        "https://xn--bcher-kva.example/",
    ],
)
def test_addresses_that_may_be(uri: str) -> None:
    check_uri(uri)


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("", "visible"),
        ("ci.example/s3cret", "https://"),
        ("ftp://ci.example/s3cret", "https://"),
        ("file:///s3cret", "https://"),
        ("https:///s3cret", "name a host"),
        ("https:ci.example/s3cret", "name a host"),
        ("https://:443/s3cret", "name a host"),
        ("https://ci.example:0/s3cret", "name a host"),
        ("https://ci.example:65536/s3cret", "name a host"),
        ("https://ci.example:/s3cret", "name a host"),
        ("https://ci.example:8a/s3cret", "name a host"),
        ("https://ci%2eexample/s3cret", "name a host"),
        ("https://[fd00::1/s3cret", "malformed"),
        ("https://[fe80::1%25eth0]/s3cret", "host"),
        ("https://ci.example/s3cret\r\nX: y", "visible"),
        (" https://ci.example/s3cret", "visible"),
        ("https://ci.example/s3 cret", "visible"),
        ("https://ci.example\\@evil.example/s3cret", "visible"),
        ("https://bücher.example/s3cret", "xn--"),
        ("https://ci.example/s3cret%zz", "%"),
        ("https://ci.example/s3cret#there", "fragment"),
        ("https://a@s3cret@ci.example/", "%40"),
        ("https://a%3Ab:s3cret@ci.example/", "colon"),
        ("https://a:s3cret%0d%0a@ci.example/", "control"),
        (f"https://ci.example/s3cret{'x' * 2_048}", "2048"),
    ],
)
def test_addresses_that_are_refused_and_not_shown(uri: str, why: str) -> None:
    with pytest.raises(WebhookInvalid, match=why) as refused:
        check_uri(uri)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"Host": "s3cret"}, "own to send"),
        ({"content-LENGTH": "s3cret"}, "own to send"),
        ({"Transfer-Encoding": "s3cret"}, "own to send"),
        ({"Connection": "s3cret"}, "own to send"),
        ({"Proxy-Authorization": "s3cret"}, "own to send"),
        ({"Webhook-Id": "s3cret"}, "own to send"),
        ({"webhook-signature": "s3cret"}, "own to send"),
        ({"webhook-anything": "s3cret"}, "own to send"),
        ({"X": "s3cret\r\nHost: a"}, "line break"),
        ({"X": "s3cret\n"}, "line break"),
        ({"X": "s3cret\x00"}, "printed"),
        ({"X": " s3cret"}, "printed"),
        ({"X": "s3cré"}, "printed"),
        ({"Authorization: Basic s3cret": ""}, "not the name"),
        ({"X\r\nY": "s3cret"}, "not the name"),
        ({"X:": "s3cret"}, "not the name"),
        ({"": "s3cret"}, "not the name"),
        ({"X Y": "s3cret"}, "not the name"),
        ({"X": "s3cret", "x": "1"}, "twice"),
        ({f"X{n}": "s3cret" for n in range(31)}, "30"),
        ({"X": "s3cret" * 2_000}, "8192"),
    ],
)
def test_headers_that_are_refused_without_their_values(
    headers: Mapping[str, str], why: str
) -> None:
    with pytest.raises(WebhookInvalid, match=why) as refused:
        check(WEBHOOK, replace(CALLBACK, headers=headers))
    assert "s3cr" not in str(refused.value)


def test_headers_that_may_be() -> None:
    headers = {"Authorization": "Basic a=", "Content-Type": "a/b", "User-Agent": "x y", "X": ""}
    check(WEBHOOK, replace(CALLBACK, headers=headers))


@pytest.mark.parametrize("text", [whsec(24), whsec(64), whsec(25).rstrip("="), "x", "p w é"])
def test_secrets_that_may_be(text: str) -> None:
    check(WEBHOOK, replace(CALLBACK, secrets=[Secret(text)]))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has 0"),
        ("whsec_", "holds 0 bytes"),
        (whsec(23), "holds 23 bytes: 24 to 64"),
        (whsec(65), "holds 65 bytes"),
        ("whsec_s3cret!s3crets3crets3crets3crets3cret", "not Base64"),
        ("whsec_é", "not Base64"),
        ("s3cret\n", "line breaks"),
        ("s3cret" * 100, "600"),
    ],
)
def test_secrets_that_are_refused_and_not_shown(text: str, why: str) -> None:
    with pytest.raises(WebhookInvalid, match=why) as refused:
        check(WEBHOOK, replace(CALLBACK, secrets=[Secret("fine"), Secret(text)]))
    assert "s3cret" not in str(refused.value)


def test_any_secret_has_a_form_that_libraries_read() -> None:
    assert whsec_of("text") == "whsec_dGV4dA=="
    assert key_of("text") == b"text"
    assert whsec_of(whsec(24)) == whsec(24)


def test_a_fingerprint_tells_secrets_apart_and_little_of_them() -> None:
    one, other = fingerprint("id", Secret("one")), fingerprint("id", Secret("other"))
    assert len(one) == 4
    assert len({one, other, fingerprint("another", Secret("one"))}) == 3


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("X-Hub-Signature-256=sha256", Hmac("X-Hub-Signature-256", "sha256")),
        ("X-Hub-Signature=sha1", Hmac("X-Hub-Signature", "sha1")),
        ("X-Checksum=sha1:bare", Hmac("X-Checksum", "sha1", is_bare=True)),
    ],
)
def test_hmacs_are_read(text: str, read: Hmac) -> None:
    assert parse_hmac(text) == read


@pytest.mark.parametrize(
    "text",
    [
        *("", "X", "X=", "X=md5", "X=sha256:", "X=sha256:hex", "=sha1", "X Y=sha1"),
        *("webhook-signature=sha256", "Host=sha1", "Content-Type=sha1", "authorization=sha256"),
    ],
)
def test_hmacs_that_are_refused(text: str) -> None:
    with pytest.raises(WebhookInvalid):
        parse_hmac(text)


@pytest.mark.parametrize(
    ("webhook", "callback", "why"),
    [
        (replace(WEBHOOK, hmacs=[Hmac("X", "sha1")]), CALLBACK, "needs a secret"),
        (
            replace(WEBHOOK, hmacs=[Hmac("X", "sha1"), Hmac("x", "sha256")]),
            replace(CALLBACK, secrets=[Secret("s")]),
            "twice",
        ),
        (
            replace(WEBHOOK, hmacs=[Hmac("X", "sha1")]),
            replace(CALLBACK, secrets=[Secret("s")], headers={"x": "1"}),
            "twice",
        ),
        (replace(WEBHOOK, seconds=0), CALLBACK, "1 to 60"),
        (replace(WEBHOOK, seconds=61), CALLBACK, "1 to 60"),
        (replace(WEBHOOK, ca="no certificate"), CALLBACK, "no certificates"),
        (WEBHOOK, Callback("nowhere"), "https://"),
    ],
)
def test_webhooks_that_are_refused(webhook: Webhook, callback: Callback, why: str) -> None:
    with pytest.raises(WebhookInvalid, match=why):
        check(webhook, callback)


def test_a_webhook_that_may_be() -> None:
    certificate, _ = authority()
    webhook = replace(WEBHOOK, hmacs=[Hmac("X", "sha1")], seconds=60, ca=certificate * 2)
    check(webhook, replace(CALLBACK, secrets=[Secret("s")], headers={"Y": "1"}))


def test_certificates_that_are_refused() -> None:
    certificate, private = authority()
    broken = certificate.replace("MII", "MIJ")
    for text, why in [
        ("", "no certificates"),
        (broken, "no certificates"),
        ("é", "no certificates"),
        (certificate + private, "private key"),
        (certificate * 100, "24576"),
    ]:
        with pytest.raises(WebhookInvalid, match=why):
            check_ca(text)
