import ctypes
import ctypes.util
import hashlib

import pytest

from shared.model import hashing
from shared.model.hashing import STATE_BYTES, Hasher

CONTENT = bytes(range(256)) + bytes(range(17))  # some blocks of both algorithms and a bit
ALGORITHMS = list(STATE_BYTES)


def resumed(hasher: Hasher) -> Hasher:
    return Hasher(hasher.algorithm, hasher.state())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("size", range(len(CONTENT) + 1))
def test_a_hash_resumed_at_any_place_is_hashlibs(algorithm: str, size: int) -> None:
    hasher = Hasher(algorithm)
    hasher.update(bytearray(CONTENT[:size]))
    hasher = resumed(hasher)
    hasher.update(bytearray(CONTENT[size:]))
    assert hasher.digest().encoded == hashlib.new(algorithm, CONTENT).hexdigest()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_hash_resumed_after_each_byte_is_hashlibs_at_each(algorithm: str) -> None:
    hasher = Hasher(algorithm)
    for size in range(len(CONTENT) + 1):
        assert hasher.digest().encoded == hashlib.new(algorithm, CONTENT[:size]).hexdigest()
        hasher.update(bytearray(CONTENT[size : size + 1]))
        hasher = resumed(hasher)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_state_has_a_fixed_length(algorithm: str) -> None:
    hasher = Hasher(algorithm)
    hasher.update(bytearray(CONTENT))
    assert len(hasher.state()) == STATE_BYTES[algorithm]


def test_a_copy_goes_on_by_itself() -> None:
    hasher = Hasher("sha256")
    other = hasher.copy()
    other.update(bytearray(b"more"))
    assert hasher.digest().encoded == hashlib.sha256().hexdigest()
    assert other.digest().encoded == hashlib.sha256(b"more").hexdigest()


def test_a_state_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="a sha256 state has 112 bytes"):
        Hasher("sha256", bytes(216))


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    monkeypatch.setattr(ctypes.util, "find_library", lambda _: "libcrypto.so.9")
    with pytest.raises(RuntimeError, match="install the package libssl3"):
        hashing._library.__wrapped__()
