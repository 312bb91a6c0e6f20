"""Bodies of any size: made as they are sent."""

import hashlib
import itertools
import tracemalloc

import pytest

from infra.azure.smoke.asking.bodies import GIB, KIB, MIB, PIECE, Body, size_text


@pytest.mark.parametrize("size", [0, 1, 7, PIECE - 1, PIECE, PIECE + 3, 5 * PIECE + 9])
def test_a_body_has_its_size_and_its_digest_each_time(size: int) -> None:
    body = Body(size)
    assert len(body.whole) == size
    assert body.whole == body.whole
    assert body.digest == f"sha256:{hashlib.sha256(body.whole).hexdigest()}"


def test_no_two_bodies_are_the_same_and_no_two_pieces() -> None:
    assert Body(64).digest != Body(64).digest
    pieces = list(Body(4 * PIECE))
    assert len({hashlib.sha256(piece).digest() for piece in pieces}) == 4


def test_a_large_body_is_never_held() -> None:
    tracemalloc.start()
    try:
        for piece in itertools.islice(Body(100 * GIB), 2_000):
            assert len(piece) == PIECE
        assert tracemalloc.get_traced_memory()[1] < 2 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (1_500, "1500 bytes"), (64 * MIB, "64 MiB"), (MIB + KIB, "1025 KiB")],
)
def test_sizes_are_written_exactly(size: int, text: str) -> None:
    assert size_text(size) == text
