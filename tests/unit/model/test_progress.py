"""How far a hash is: sealed, and of no use to who would change it."""

import base64
from dataclasses import replace

import pytest

from shared.model import progress as module
from shared.model.hashing import Hasher
from shared.model.progress import Progress, ProgressSeal

NAME, ETAG = "9" * 32 + "/" + "ab" * 16, '"0x8DC0FFEE"'
SEAL = ProgressSeal(b"k" * 32)


def halfway(algorithm: str = "sha256") -> Progress:
    hasher = Hasher(algorithm)
    hasher.update(bytearray(b"half of it"))
    return Progress(NAME, ETAG, algorithm, hasher.state(), 200 * 1024**3, is_second=True)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_what_was_closed_is_opened(algorithm: str) -> None:
    progress = halfway(algorithm)
    text = SEAL.close(progress)
    assert SEAL.open(text) == progress
    assert len(text) < 900
    assert text != SEAL.close(progress)


def test_it_tells_nobody_what_it_holds() -> None:
    sealed = base64.urlsafe_b64decode(SEAL.close(halfway()))
    assert ETAG.encode() not in sealed
    assert halfway().state[:32] not in sealed


def test_no_bit_of_it_can_be_changed() -> None:
    sealed = bytearray(base64.urlsafe_b64decode(SEAL.close(halfway())))
    for place in range(len(sealed)):
        sealed[place] ^= 1
        assert SEAL.open(base64.urlsafe_b64encode(sealed).decode()) is None
        sealed[place] ^= 1


@pytest.mark.parametrize("text", ["", "short", "no base64 §", "A" * 8, "A" * 400])
def test_what_no_seal_closed_is_not_opened(text: str) -> None:
    assert SEAL.open(text) is None


def test_another_registrys_is_not_opened() -> None:
    assert ProgressSeal(b"o" * 32).open(SEAL.close(halfway())) is None


def test_another_versions_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "_VERSION", 2)
        text = SEAL.close(halfway())
    assert SEAL.open(text) is None


def test_a_state_of_another_size_is_not_opened() -> None:
    assert SEAL.open(SEAL.close(replace(halfway(), state=b"short"))) is None
