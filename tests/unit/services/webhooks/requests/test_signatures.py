from datetime import UTC, datetime, timedelta

from shared.model.webhooks.webhook import Secret
from shared.services.webhooks.requests.signatures import signatures, signing

AT = datetime.fromtimestamp(1614265330, UTC)


def test_a_signature_is_the_one_of_the_specifications_example() -> None:
    secrets = [Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    told = signatures(secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', AT)
    assert told == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_fractions_of_a_second_are_cut() -> None:
    late = AT + timedelta(microseconds=999_999)
    assert signatures([Secret("s")], "id", b"", late) == signatures([Secret("s")], "id", b"", AT)


def test_secrets_sign_until_their_end() -> None:
    secrets = [Secret("c"), Secret("b", AT + timedelta(1)), Secret("a", AT)]
    assert [secret.text for secret in signing(secrets, AT)] == ["c", "b"]
