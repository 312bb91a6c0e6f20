"""The document: what the object `master-key` says, as JSON; it is signed (`signing`).

    version     of this document
    account     the storage account that it was written for
    written     when; later than the one before it, whatever the clocks say
    keys        id, state, since, made; vault_version: which version wrapped it; wrapped, in base64

    announced   processes get to know it; nothing is sealed with it yet
    current     seals
    sealing     sealed until lately; rows are sealed anew with the current one
    opening     opens what is in clients' hands; nothing in storage needs it any more

The vault's address is none of it: that is in the settings. So whoever can write storage cannot send
us to a vault of his own.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from shared.storage.ports import Wrapped

VERSION = 1

_LEAST_LATER = timedelta(microseconds=1)


class DocumentUnreadable(ValueError):
    """It is no document, or one of another version; says which."""


class State(StrEnum):
    """What a master key is used for."""

    ANNOUNCED = "announced"
    CURRENT = "current"
    SEALING = "sealing"
    OPENING = "opening"


@dataclass(frozen=True, slots=True)
class KeptKey:
    """A master key, wrapped; `since` tells when it came into its state."""

    id: str
    state: State
    since: datetime
    made: datetime
    wrapped: Wrapped

    def turned(self, state: State, now: datetime) -> "KeptKey":
        """Give it in another state."""
        return replace(self, state=state, since=now)

    @classmethod
    def read(cls, said: dict[str, Any]) -> Self:
        """Read what `said` gave."""
        return cls(
            id=str(said["id"]),
            state=State(said["state"]),
            since=_time(said["since"]),
            made=_time(said["made"]),
            wrapped=Wrapped(
                str(said["vault_version"]), b64decode(str(said["wrapped"]), validate=True)
            ),
        )

    def said(self) -> dict[str, str]:
        """Give the form that the document holds."""
        return {
            "id": self.id,
            "state": str(self.state),
            "since": self.since.isoformat(),
            "made": self.made.isoformat(),
            "vault_version": self.wrapped.version,
            "wrapped": b64encode(self.wrapped.data).decode(),
        }


@dataclass(frozen=True, slots=True)
class Document:
    """All master keys that are kept; one of them is the current one."""

    account: str
    written: datetime
    keys: Sequence[KeptKey]

    @property
    def current(self) -> KeptKey:
        """The one that seals."""
        return next(key for key in self.keys if key.state is State.CURRENT)

    def of(self, *states: State) -> Sequence[KeptKey]:
        """Give those in one of these states."""
        return [key for key in self.keys if key.state in states]

    def anew(self, keys: Sequence[KeptKey], now: datetime) -> Self:
        """Give the one that takes its place, with other keys."""
        return replace(self, keys=keys, written=max(now, self.written + _LEAST_LATER))

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read what an object says; raises DocumentUnreadable."""
        try:
            said = json.loads(body)
            version = said["version"]
            if version != VERSION:
                raise DocumentUnreadable(
                    f"has version {version!r}, and this app reads {VERSION}: deploy the version of"
                    " the app that wrote it, or a later one"
                )
            kept = [KeptKey.read(key) for key in said["keys"]]
            document = cls(str(said["account"]), _time(said["written"]), kept)
            if len(document.of(State.CURRENT)) != 1:
                raise LookupError("current")  # noqa: TRY301 - as if it were missing
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, DocumentUnreadable):
                raise
            raise DocumentUnreadable(
                f"cannot be read ({error!r}): bring an earlier version of it back (soft delete,"
                " versions of the blob)"
            ) from error
        return document

    def text(self) -> bytes:
        """Give the form that is signed."""
        said = {
            "version": VERSION,
            "account": self.account,
            "written": self.written.isoformat(),
            "keys": [key.said() for key in self.keys],
        }
        return json.dumps(said).encode()


def _time(said: str) -> datetime:
    return datetime.fromisoformat(said).astimezone(UTC)
