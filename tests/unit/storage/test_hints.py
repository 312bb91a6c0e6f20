from shared.storage.hints import Hints


def test_the_hints_seen_last_are_kept() -> None:
    hints = Hints(2)
    for key in ("a", "b", "a", "c"):
        hints.add(key)
    assert [key in hints for key in ("a", "b", "c", "d")] == [True, False, True, False]
