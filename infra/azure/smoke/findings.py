"""Findings: what comes of a check."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How what was seen compares with what is promised."""

    AS_PROMISED = "as promised"
    DIFFERS = "differs"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check promised, what it saw, and how many seconds that took."""

    check: str
    verdict: Verdict
    seconds: float
    promised: str
    seen: str


class Differs(Exception):
    """What was seen is not what is promised; says what was."""


class NotChecked(Exception):
    """A check could not look; says why, and what to do so that it can."""


def broken(error: Exception) -> str:
    """Say that there was no answer."""
    said = str(error)
    return f"no answer ({type(error).__name__}{f': {said}' if said else ''})"
