from datetime import UTC, datetime

import pytest

from shared.model.webhooks.callbacks import CallbackSeal, CallbackUnreadable
from shared.model.webhooks.webhook import Callback, Secret

SEAL = CallbackSeal(b"k" * 32)
CALLBACK = Callback(
    "https://user:pässword@ci.example/hook?token=t",
    {"Authorization": "Bearer b", "X-Key": "ü"},
    [Secret("new"), Secret("old", datetime(2026, 1, 2, 3, 4, 5, 6, UTC))],
)


def test_a_callback_comes_back() -> None:
    assert SEAL.open(SEAL.close(CALLBACK, "w"), "w") == CALLBACK
    assert SEAL.open(SEAL.close(Callback("http://a"), "w"), "w") == Callback("http://a", {}, [])


def test_what_is_sealed_shows_nothing_and_is_another_each_time() -> None:
    sealed = SEAL.close(CALLBACK, "w")
    assert sealed != SEAL.close(CALLBACK, "w")
    for secret in (b"user", b"token", b"Bearer", b"new", b"ci.example"):
        assert secret not in sealed


def test_it_opens_for_its_webhook_and_with_its_key_alone() -> None:
    sealed = SEAL.close(CALLBACK, "w")
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for seal, text, webhook in [
        (SEAL, sealed, "v"),
        (CallbackSeal(b"l" * 32), sealed, "w"),
        (SEAL, changed, "w"),
        (SEAL, sealed[:20], "w"),
        (SEAL, b"", "w"),
    ]:
        with pytest.raises(CallbackUnreadable, match="another master key"):
            seal.open(text, webhook)


def test_nothing_that_is_printed_shows_what_is_secret() -> None:
    shown = repr(CALLBACK)
    for secret in ("user", "token", "Bearer", "'new'", "ci.example"):
        assert secret not in shown
