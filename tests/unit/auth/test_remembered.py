from shared.auth.remembered import Remembered
from tests.unit.auth.conftest import Now


def test_a_value_is_there_until_its_end() -> None:
    now = Now()
    kept: Remembered[str, int] = Remembered(10, now)
    assert kept.get("a") is None
    kept.keep("a", 1, now() + 5)
    now.seconds += 4.9
    assert kept.get("a") == 1
    now.seconds += 0.1
    assert kept.get("a") is None
    assert len(kept) == 0


def test_the_first_ones_kept_make_room() -> None:
    now = Now()
    kept: Remembered[str, int] = Remembered(2, now)
    for value, key in enumerate("abac"):
        kept.keep(key, value, now() + 5)
    assert [kept.get(key) for key in "abc"] == [2, None, 3]


def test_what_is_forgotten_is_gone() -> None:
    kept: Remembered[str, int] = Remembered(2, Now())
    kept.keep("a", 1, 9_999)
    kept.forget("a")
    kept.forget("b")
    assert kept.get("a") is None
