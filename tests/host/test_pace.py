"""Who is too slow, and who only waits for us."""

import pytest

from infra.host.pace import (
    GRACE_SECONDS,
    HEAD_BYTES,
    HEAD_SECONDS,
    IDLE_SECONDS,
    RATE,
    STILL_SECONDS,
    TAKING_SECONDS,
    Asking,
    Phase,
    Taking,
)

BUFFER = 64 * 1024


def in_body() -> Asking:
    asking = Asking(0)
    asking.enter(Phase.BODY, 0)
    return asking


@pytest.mark.parametrize(
    ("phase", "seconds"),
    [(Phase.NEW, HEAD_SECONDS), (Phase.HEAD, HEAD_SECONDS), (Phase.IDLE, IDLE_SECONDS)],
)
def test_a_head_and_an_idle_connection_have_their_time(phase: Phase, seconds: float) -> None:
    asking = Asking(100)
    asking.enter(phase, 100)
    assert asking.fault(100 + seconds) == ""
    assert asking.fault(101 + seconds) != ""


@pytest.mark.parametrize("phase", [Phase.BODY, Phase.ASKED])
def test_a_request_that_has_come_may_take_its_time(phase: Phase) -> None:
    asking = Asking(0)
    asking.enter(phase, 0)
    assert asking.fault(100_000) == ""


def test_what_is_no_body_is_bounded_in_every_phase() -> None:
    for phase in Phase:
        asking = Asking(0)
        asking.enter(phase, 0)
        asking.took(HEAD_BYTES)
        assert asking.fault(0) == ""
        asking.took(1)
        assert "no body" in asking.fault(0)


def test_a_body_has_a_grace_period_and_then_a_rate() -> None:
    asking = in_body()
    seconds = 0
    while not asking.waited(1):
        asking.took(RATE - 1)
        seconds += 1
    assert seconds == GRACE_SECONDS


def test_a_body_at_the_rate_goes_on_for_ever() -> None:
    asking = in_body()
    for _ in range(10_000):
        asking.took(RATE)
        asking.had_body()
        assert asking.waited(1) == asking.fault(0) == ""


def test_a_body_that_was_quick_may_not_stand_still_for_ever() -> None:
    asking = in_body()
    asking.took(10**9)
    asking.had_body()
    faults = [asking.waited(1) for _ in range(int(STILL_SECONDS) + 2)]
    assert faults[-2:-1] == [""]
    assert "nothing of its body" in faults[-1]


def taking(takes: int, seconds: int, refill: bool = False) -> str:
    """Take so many bytes a second of a full buffer, which the app may fill again."""
    one, size, fault = Taking(), BUFFER, ""
    for second in range(seconds):
        fault = fault or one.fault(size, second)
        size -= takes
        if refill:
            one.holds(size)
            size = BUFFER
        size = max(size, 1)
    return fault


def test_an_answer_that_nobody_takes_is_enough_after_its_time() -> None:
    assert taking(0, int(TAKING_SECONDS)) == ""
    assert "takes its answer" in taking(0, int(TAKING_SECONDS) + 2)


def test_an_answer_that_is_taken_at_the_rate_goes_on() -> None:
    assert taking(RATE, 200) == ""
    assert taking(RATE, 1_000, refill=True) == ""
    assert taking(RATE - 2, 1_000, refill=True) != ""


def test_an_answer_that_was_taken_begins_anew() -> None:
    one = Taking()
    for second in range(1_000):
        assert one.fault(BUFFER if second % 50 else 0, second) == ""
