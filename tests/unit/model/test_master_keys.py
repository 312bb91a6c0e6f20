from datetime import UTC, datetime

import pytest

from shared.errors import BlobUploadUnknown
from shared.model.digest import Digest
from shared.model.master_keys import MasterKeys
from shared.model.progress import Progress, ProgressSeal
from shared.model.upload import Seal, Upload
from shared.model.webhooks.callbacks import CallbackSeal, CallbackUnreadable
from shared.model.webhooks.webhook import Callback, Secret

OLD, NEW = b"o" * 32, b"n" * 32


def test_the_current_key_comes_first() -> None:
    keys = MasterKeys("new", ("old", "older"))
    assert [*keys.all] == ["new", "old", "older"]
    derived = keys.derived("a use", "g")
    assert derived[1:] == [*MasterKeys("old", ("older",)).derived("a use", "g")]
    assert len({*derived, *keys.derived("another", "g"), *keys.derived("a use", "h")}) == 9


def test_what_is_derived_is_as_it_always_was() -> None:
    (derived,) = MasterKeys("k" * 32).derived("webhooks", "g" * 32)
    assert derived.hex() == "d75faeb9845e5035a7c2b4ace15e7100e653c77917d0d28f5959a66fd4c31cb9"


def test_nothing_shows_a_key() -> None:
    assert "new" not in repr(MasterKeys("new", ("old",))) + str(MasterKeys("new", ("old",)))


def test_an_upload_goes_on_under_an_older_key() -> None:
    upload = Upload.start("0" * 32, 1)
    token = Seal(OLD).close(upload, "r", "me")
    assert Seal(NEW, OLD).open(token, "r", "me") == upload
    assert Seal(OLD, NEW).open(Seal(NEW, OLD).close(upload, "r", "me"), "r", "me") == upload
    with pytest.raises(BlobUploadUnknown):
        Seal(NEW).open(token, "r", "me")
    with pytest.raises(BlobUploadUnknown):
        Seal(NEW, OLD).open(token, "r", "another")


def test_a_hash_goes_on_under_an_older_key() -> None:
    progress = Progress.start("g/1", '"1"', Digest.of(b"").algorithm)
    text = ProgressSeal(OLD).close(progress)
    assert ProgressSeal(NEW, OLD).open(text) == progress
    assert ProgressSeal(OLD).open(ProgressSeal(NEW, OLD).close(progress)) is None
    assert ProgressSeal(NEW).open(text) is None


def test_a_webhook_opens_with_an_older_key_and_is_sealed_with_the_current_one() -> None:
    callback = Callback("https://x.example/", {"a": "b"}, [Secret("s", datetime.now(UTC))])
    sealed = CallbackSeal(OLD).close(callback, "1")
    both = CallbackSeal(NEW, OLD)
    assert both.open(sealed, "1") == callback
    assert (both.is_current(sealed, "1"), both.is_current(both.close(callback, "1"), "1")) == (
        False,
        True,
    )
    assert not both.is_current(both.close(callback, "1"), "2")
    with pytest.raises(CallbackUnreadable):
        CallbackSeal(NEW).open(sealed, "1")
    with pytest.raises(CallbackUnreadable):
        both.open(sealed, "2")
