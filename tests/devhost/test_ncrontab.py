"""When a timer fires."""

from datetime import UTC, datetime, timedelta

import pytest

from infra.devhost.triggers.ncrontab import ScheduleError, parse, timespan

START = datetime(2026, 11, 23, 10, 30, 15, 500_000, UTC)  # a Monday

NEXT = [
    ("* * * * * *", "2026-11-23 10:30:16"),
    ("*/5 * * * * *", "2026-11-23 10:30:20"),
    ("0 * * * * *", "2026-11-23 10:31:00"),
    ("* * * * *", "2026-11-23 10:31:00"),
    ("0 */5 * * * *", "2026-11-23 10:35:00"),
    ("0 30 10 * * *", "2026-11-24 10:30:00"),
    ("15 30 10 * * *", "2026-11-24 10:30:15"),
    ("16 30 10 * * *", "2026-11-23 10:30:16"),
    ("0 0 9-17 * * MON-FRI", "2026-11-23 11:00:00"),
    ("0 0 3 * * sun", "2026-11-29 03:00:00"),
    ("0 0 3 * * Sunday", "2026-11-29 03:00:00"),
    ("0 0 0 1 1 *", "2027-01-01 00:00:00"),
    ("0 0 0 1 jan,jul *", "2027-01-01 00:00:00"),
    ("0 0 0 29 2 *", "2028-02-29 00:00:00"),
    ("0 0 0 13 * FRI", "2027-08-13 00:00:00"),
    ("0 0 0 31 * *", "2026-12-31 00:00:00"),
    ("0 50/3 * * * *", "2026-11-23 10:50:00"),
    ("0 40-50/5 * * * *", "2026-11-23 10:40:00"),
    ("0 0 17-9 * * *", "2026-11-23 11:00:00"),
    ("59 59 23 31 12 *", "2026-12-31 23:59:59"),
    ("00:00:30", "2026-11-23 10:30:45.5"),
    ("1.00:00:00", "2026-11-24 10:30:15.5"),
]


@pytest.mark.parametrize(("schedule", "expected"), NEXT)
def test_next_occurrence(schedule: str, expected: str) -> None:
    assert parse(schedule).next_after(START) == datetime.fromisoformat(f"{expected}+00:00")


def test_occurrences_follow_each_other() -> None:
    schedule, moment, seen = parse("0 0,30 23 * * 1-2"), START, []
    for _ in range(5):
        moment = schedule.next_after(moment)
        seen.append(moment.strftime("%a %H:%M"))
    assert seen == ["Mon 23:00", "Mon 23:30", "Tue 23:00", "Tue 23:30", "Mon 23:00"]


def test_rarest_date_is_found_across_a_skipped_leap_year() -> None:
    after = datetime(2072, 3, 1, tzinfo=UTC)
    monday = parse("0 0 0 29 2 1").next_after(after)
    assert (monday.month, monday.day, monday.isoweekday()) == (2, 29, 1)


@pytest.mark.parametrize(
    "schedule",
    [
        "",
        "* * * *",
        "* * * * * * *",
        "60 * * * * *",
        "* 60 * * * *",
        "* * 24 * * *",
        "* * * 0 * *",
        "* * * * 13 *",
        "* * * * * 7",
        "*/0 * * * * *",
        "*/x * * * * *",
        "x * * * * *",
        "1,,2 * * * * *",
        "0 0 0 30 2 *",
        "00:00:00",
        "24:00:00",
        "00:60:00",
        "1:2:3:4",
        "-00:00:01",
    ],
)
def test_nonsense_is_refused(schedule: str) -> None:
    with pytest.raises(ScheduleError):
        parse(schedule)


def test_timespan_counts_days_and_fractions() -> None:
    assert timespan("1.02:03:04.5") == timedelta(days=1, hours=2, minutes=3, seconds=4.5)
    assert timespan("00:30") == timedelta(minutes=30)
