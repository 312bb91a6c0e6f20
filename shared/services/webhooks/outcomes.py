"""Outcomes: what an answer, or none, means for a delivery, and how long to wait for the next try.

    2xx                                        delivered
    410                                        the receiver is gone: the webhook is disabled
    nothing, 5xx, 408, 425, 429, 401, 403, 404 tried again; so is each other 4xx, if asked for
    3xx, any other                             final: nobody tries it again

What the receiver took whole, and did not answer in time, may have been done: it is asked three
times more at the most.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import Enum

from shared.model.outbound.posting import NoReply, Reply
from shared.model.webhooks.webhook import Webhook

LIFE = timedelta(hours=24)
"""How long a delivery is tried."""

LATE = timedelta(hours=1)
"""How long after its time a message is thought to be lost, or to come no further."""

MOST_UNANSWERED = 4
"""How often one is sent that the receiver takes and does not answer."""

_SHORTEST = timedelta(seconds=10)
_LONGEST = timedelta(hours=1)
_LONGEST_PAUSE = timedelta(minutes=10)
_GROWTHS = 9
_SPREAD = 16**4

_GONE = 410
_AGAIN = frozenset({408, 425, 429, 401, 403, 404})
_OK, _REDIRECTION, _CLIENT, _SERVER = 200, 300, 400, 500
_STATUSES = 600


class Verdict(Enum):
    """What an attempt comes to."""

    DELIVERED = "delivered"
    AGAIN = "to be tried again"
    FINAL = "final"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt comes to and why; `wait` is the least that its receiver asks for.

    `took_all`: the receiver has the whole body, and did not answer.
    """

    verdict: Verdict
    why: str = ""
    wait: timedelta = timedelta()
    took_all: bool = False

    @property
    def is_answer(self) -> bool:
        """Tell whether the receiver works, whatever it thinks of this delivery."""
        return self.verdict is not Verdict.AGAIN


def judge(answer: Reply | NoReply, webhook: Webhook, now: datetime) -> Outcome:
    """Tell what an answer means, or none."""
    if isinstance(answer, NoReply):
        return Outcome(Verdict.AGAIN, str(answer), took_all=answer.took_all)
    status = answer.status
    why = f"it answered {status} {answer.reason}".strip()
    if _OK <= status < _REDIRECTION:
        return Outcome(Verdict.DELIVERED)
    if status == _GONE:
        return Outcome(Verdict.GONE, why)
    is_server = _SERVER <= status < _STATUSES
    is_asked = webhook.retries_4xx and _CLIENT <= status < _SERVER
    if is_server or is_asked or status in _AGAIN:
        return Outcome(Verdict.AGAIN, why, _asked_wait(answer, now))
    return Outcome(Verdict.FINAL, why)


def delay(tries: int, drawn: str, wait: timedelta) -> timedelta:
    """Give how long to wait after so many tries: 10 s, twice as long each time, an hour at most.

    Up to a quarter less, by what was drawn; never less than the receiver asked for.
    """
    growth: int = 2 ** min(tries - 1, _GROWTHS)
    longest = min(_SHORTEST * growth, _LONGEST)
    return max(longest * (1 - int(drawn[:4], 16) / _SPREAD / 4), wait)


def is_over(since: datetime, due: datetime, now: datetime) -> bool:
    """Tell whether a delivery is tried no more: its life is over, and its last try did not come."""
    return now >= max(since + LIFE, due) + LATE


def pause(held: timedelta, wait: timedelta) -> timedelta:
    """Give how long to wait for the next probe of a receiver that is held since then."""
    return max(min(max(held, _SHORTEST), _LONGEST_PAUSE), wait)


def _asked_wait(reply: Reply, now: datetime) -> timedelta:
    """Read `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3); an hour at the most."""
    said = next((v for name, v in reply.headers.items() if name.lower() == "retry-after"), "")
    text = said.strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=min(int(text[:10]), 10**9)), _LONGEST)
    try:
        moment = parsedate_to_datetime(text)
        asked = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    except (ValueError, OverflowError, TypeError):
        return timedelta()
    return min(max(asked, timedelta()), _LONGEST)
