"""Attempts: what was sent of a delivery, each time, and what came back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

import orjson

from shared.storage import keys
from shared.storage.ports import Row, Value


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was sent, by its number, and what came back; nothing of it is secret.

    `address` is scheme, host and port, `secret` tells which one signed. `status` is 0 where nothing
    was answered: then `why` says that. Headers are masked, the answer is cut.
    """

    number: int
    at: datetime
    seconds: float
    address: str
    secret: str = ""
    sent: bytes = b""
    sent_headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 0
    reason: str = ""
    version: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    why: str = ""

    @classmethod
    def read(cls, row: Row) -> Self:
        """Read its row."""
        said: Mapping[str, Any] = row.values
        return cls(
            number=int(keys.last_part(row.key)),
            at=said["at"],
            seconds=int(said["milliseconds"]) / 1_000,
            address=said["address"],
            secret=said["secret"],
            sent=said["sent"],
            sent_headers=orjson.loads(said["sent_headers"]),
            status=int(said["status"]),
            reason=said["reason"],
            version=said["version"],
            headers=orjson.loads(said["headers"]),
            body=said["body"],
            why=said["why"],
        )

    def values(self) -> Mapping[str, Value]:
        """Give what its row says."""
        return {
            "at": self.at,
            "milliseconds": int(self.seconds * 1_000),
            "address": self.address,
            "secret": self.secret,
            "sent": self.sent,
            "sent_headers": orjson.dumps(dict(self.sent_headers)),
            "status": self.status,
            "reason": self.reason,
            "version": self.version,
            "headers": orjson.dumps(dict(self.headers)),
            "body": self.body,
            "why": self.why,
        }
