"""When a timer fires: NCRONTAB with five or six fields, or a TimeSpan; all in UTC."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple, Protocol

_TIMESPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(\.\d{1,7})?)?")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIVE_FIELDS = 5
_SIX_FIELDS = 6
_FEBRUARY_29_ON_A_GIVEN_WEEKDAY = 41 * 366
"""Days until the rarest date comes round, a skipped leap year (2100) included."""


class ScheduleError(ValueError):
    """The text is not a schedule."""


class Schedule(Protocol):
    """Says when the timer fires next."""

    def next_after(self, moment: datetime) -> datetime:
        """Give the first occurrence later than the moment."""


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("weekday", 0, 6, _DAYS),
)


def timespan(text: str) -> timedelta:
    """Parse .NET's TimeSpan: [days.]hours:minutes[:seconds[.fraction]]."""
    found = _TIMESPAN.fullmatch(text)
    if not found or int(found[2]) > 23 or int(found[3]) > 59 or int(found[4] or 0) > 59:  # noqa: PLR2004 - a clock
        raise ScheduleError(f"{text!r} is not a time span (hh:mm:ss)")
    days, hours, minutes, seconds, fraction = found.groups(default="0")
    return timedelta(
        days=int(days),
        hours=int(hours),
        minutes=int(minutes),
        seconds=int(seconds) + float(fraction),
    )


def parse(text: str) -> Schedule:
    """Parse what stands in a timer trigger's `schedule`."""
    if ":" in text:
        return Every(timespan(text))
    fields = text.split()
    if len(fields) == _FIVE_FIELDS:
        fields = ["0", *fields]
    if len(fields) != _SIX_FIELDS:
        raise ScheduleError(f"{text!r} has neither five nor six fields")
    return Cron(text, [_numbers(f, value) for f, value in zip(_FIELDS, fields, strict=True)])


class Every:
    """Fires in a fixed interval."""

    def __init__(self, interval: timedelta) -> None:
        if interval <= timedelta():
            raise ScheduleError("a timer's interval is longer than zero")
        self._interval = interval

    def next_after(self, moment: datetime) -> datetime:
        """Give the moment one interval later."""
        return moment + self._interval


class Cron:
    """Fires when all six fields fit; day and weekday both have to."""

    def __init__(self, text: str, fields: list[list[int]]) -> None:
        self._seconds, self._minutes, self._hours, self._days, self._months, self._weekdays = fields
        self._text = text
        self.next_after(datetime(2000, 1, 1, tzinfo=UTC))

    def next_after(self, moment: datetime) -> datetime:
        """Give the first second later than the moment that fits."""
        moment = moment.astimezone(UTC)
        day, at = moment.date(), self._time_after(moment.time())
        for _ in range(_FEBRUARY_29_ON_A_GIVEN_WEEKDAY):
            if at and self._fits(day):
                return datetime.combine(day, at, UTC)
            day += timedelta(days=1)
            at = time(self._hours[0], self._minutes[0], self._seconds[0])
        raise ScheduleError(f"{self._text!r} never comes")

    def _fits(self, day: date) -> bool:
        weekday = day.isoweekday() % 7
        return day.day in self._days and day.month in self._months and weekday in self._weekdays

    def _time_after(self, earliest: time) -> time | None:
        for hour in (h for h in self._hours if h >= earliest.hour):
            for minute in self._minutes:
                if (hour, minute) < (earliest.hour, earliest.minute):
                    continue
                for second in self._seconds:
                    if time(hour, minute, second) > earliest:
                        return time(hour, minute, second)
        return None


def _numbers(field: _Field, text: str) -> list[int]:
    return sorted({n for part in text.split(",") for n in _part(field, part)})


def _part(field: _Field, part: str) -> Iterable[int]:
    span, slash, step_text = part.partition("/")
    step = int(step_text) if step_text.isdecimal() else 0
    if slash and not step:
        raise ScheduleError(f"{part!r} is not a step of the {field.name}")
    if span == "*":
        return range(field.low, field.high + 1, step or 1)
    first_text, dash, last_text = span.partition("-")
    first = _number(field, first_text)
    if dash:
        last = _number(field, last_text)
        # NCrontab swaps a range that is the wrong way round.
        return range(min(first, last), max(first, last) + 1, step or 1)
    return range(first, field.high + 1, step) if slash else (first,)


def _number(field: _Field, text: str) -> int:
    if text.isdecimal() and field.low <= int(text) <= field.high:
        return int(text)
    for number, word in enumerate(field.words, field.low):
        if text[:3].lower() == word:
            return number
    raise ScheduleError(f"{text!r} is not a {field.name} ({field.low}-{field.high})")
