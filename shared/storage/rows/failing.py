"""Rows of what fails: a report on letters, which nothing but a look at it relies on.

A queue shows its first letters only, and no sleepers. So a letter that failed and sleeps until it
is tried again has a row, and so has one that nobody here can read: that row is all there is of it.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self, cast

from shared.storage import keys
from shared.storage.messages.letters import Letter
from shared.storage.ports import ANY, Conflict, Delete, NotFound, Put, Row, Rows, Update, Value

_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Failure:
    """A letter that failed: tried again when it is `due`, never where that is None: unreadable."""

    queue: str
    letter: Letter
    due: datetime | None
    etag: str = field(default="", compare=False)

    @property
    def key(self) -> str:
        """Give its name: the letter's, but for what is unreadable."""
        return self.letter.id if self.due else keys.unreadable(self.letter.id)

    @classmethod
    def read(cls, row: Row) -> Self:
        """Read its row."""
        said = row.values
        letter = Letter(
            id=keys.last_part(row.key),
            sent=cast("datetime", said["sent"]),
            body=cast("bytes", said["body"]).decode(),
            tries=int(cast("int", said["tries"])),
            why=str(said["why"]),
        )
        return cls(str(said["queue"]), letter, cast("datetime | None", said.get("due")), row.etag)


class Failures:
    """The rows of one storage account."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def put(self, failure: Failure) -> None:
        """Write down that a letter failed; of the same letter in place of what was there."""
        letter = failure.letter
        values: dict[str, Value] = {
            "queue": failure.queue,
            "sent": letter.sent,
            "tries": letter.tries,
            "why": letter.why,
            "body": letter.body.encode(),
        }
        due = {"due": failure.due} if failure.due else {}
        await self._commit(Put(failure.key, {**values, **due}))

    async def tell_why(self, letter: Letter) -> None:
        """Change the reason, where the letter has a row."""
        with suppress(NotFound):
            await self._commit(Update(letter.id, {"why": letter.why, "tries": letter.tries}))

    async def take(self, key: str, etag: str = ANY) -> bool:
        """Remove a row; False where it is not there, or not as it was."""
        try:
            await self._commit(Delete(key, etag))
        except (NotFound, Conflict):
            return False
        return True

    async def forget(self, due: datetime) -> None:
        """Remove the rows of letters that were due before: they succeeded, and left theirs."""
        after = ""
        while rows := await self._scan(after, _PAGE, only=("due",)):
            for row in rows:
                was_due = cast("datetime | None", row.values.get("due"))
                if was_due and was_due < due:
                    await self.take(row.key, row.etag)
            if len(rows) < _PAGE:
                break
            after = rows[-1].key

    async def find(self, key: str) -> Failure | None:
        """Give one by its name."""
        row = await self._rows.get(keys.REGISTRIES, keys.FAILING, key)
        return Failure.read(row) if row else None

    async def page(self, after: str, limit: int) -> Sequence[Failure]:
        """Give up to so many whose names follow `after`, in order."""
        return [Failure.read(row) for row in await self._scan(after, limit)]

    async def _scan(
        self, after: str, limit: int, only: Sequence[str] | None = None
    ) -> Sequence[Row]:
        before = keys.end_of("")
        return await self._rows.scan(
            keys.REGISTRIES, keys.FAILING, after=after, before=before, limit=limit, only=only
        )

    async def _commit(self, change: Put | Update | Delete) -> None:
        await self._rows.commit(keys.REGISTRIES, keys.FAILING, [change])
