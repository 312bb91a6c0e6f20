from shared.model.digest import Digest
from shared.storage.bodies import Bodies

A, B, C = (Digest.of(name) for name in (b"a", b"b", b"c"))


def test_the_body_not_used_for_longest_gives_way() -> None:
    bodies = Bodies(10)
    bodies.keep(A, b"aaaaa")
    bodies.keep(B, b"bbbbb")
    assert bodies.get(A) == b"aaaaa"
    bodies.keep(C, b"ccccc")
    assert (bodies.get(A), bodies.get(B), bodies.get(C)) == (b"aaaaa", None, b"ccccc")


def test_a_body_kept_twice_counts_once() -> None:
    bodies = Bodies(10)
    for _ in range(9):
        bodies.keep(A, b"aaaaa")
    bodies.keep(B, b"bbbbb")
    assert bodies.get(A)


def test_a_body_over_the_limit_is_not_kept() -> None:
    bodies = Bodies(10)
    bodies.keep(A, b"a" * 5)
    bodies.keep(B, b"b" * 11)
    assert (bodies.get(A), bodies.get(B)) == (b"a" * 5, None)


def test_several_give_way_to_a_large_one() -> None:
    bodies = Bodies(10)
    bodies.keep(A, b"a" * 4)
    bodies.keep(B, b"b" * 4)
    bodies.keep(C, b"c" * 9)
    assert (bodies.get(A), bodies.get(B), bodies.get(C)) == (None, None, b"c" * 9)
