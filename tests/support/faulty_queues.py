"""Messages that come twice, late and out of order: what a queue may do, and the emulator does not.

    twice   the message is put a second time, a while later
    late    it is seen some seconds later than its sender asked for

Two messages that are late by different times change places.
"""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from azure.storage.queue import AccountSasPermissions, ResourceTypes, generate_account_sas
from yarl import URL

from infra.devhost.storage import ACCOUNT, KEY

_DELAY = "visibilitytimeout"


class Delivery(StrEnum):
    """What becomes of a message."""

    TWICE = "twice"
    LATE = "late"


@dataclass
class Deliveries:
    """How likely each is, in messages; `seconds` is the longest that one is late."""

    of: Mapping[Delivery, float] = field(default_factory=dict)
    seconds: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Begin the row of draws."""
        self._random = random.Random(self.seed)
        self.counts: Counter[Delivery] = Counter()

    def draw(self) -> frozenset[Delivery]:
        """Say what becomes of the next message; it may be late, and come twice."""
        drawn = frozenset(it for it, chance in self.of.items() if self._random.random() < chance)
        self.counts.update(drawn)
        return drawn

    def pause(self) -> float:
        """Say for how many seconds a message, or its copy, is kept back."""
        return self._random.random() * self.seconds

    def later(self, put: URL) -> URL:
        """Give the address that puts a message later, and says by itself that it may.

        A call is signed with all that its address says, so its own signature would not do.
        """
        asked = float(put.query.get(_DELAY, "0"))
        query = {**put.query, _DELAY: str(round(asked + self.pause() + 0.5))}
        return URL(f"{put.with_query(query)}&{_pass()}", encoded=True)


def is_put(method: str, path: str) -> bool:
    """Tell whether a call to the queue service puts a message."""
    return method == "POST" and path.partition("?")[0].endswith("/messages")


def _pass() -> str:
    return generate_account_sas(
        ACCOUNT,
        KEY,
        ResourceTypes(object=True),
        AccountSasPermissions(add=True),
        datetime.now(UTC) + timedelta(hours=1),
    )
