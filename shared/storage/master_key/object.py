"""The object `master-key`: found, made, and changed by its ETag alone."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from shared.storage import keys
from shared.storage.master_key.document import Document, DocumentUnreadable
from shared.storage.master_key.signing import Signing
from shared.storage.ports import Facts, NotFound, NotPrepared, Objects, Unavailable
from shared.storage.rows.registries import StateRefused

_TRIES = 8
_MOST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Found:
    """The document as it is there; `age` is the time since it was last written."""

    document: Document
    etag: str
    age: timedelta


class KeyObject:
    """The object that holds the signed document."""

    def __init__(self, beside: Objects, signing: Signing) -> None:
        self._beside = beside
        self._signing = signing

    async def etag(self) -> str:
        """Give its ETag; empty where it is not there."""
        facts = await self._facts()
        return facts.etag if facts else ""

    async def find(self, *, is_ours: bool = True) -> Found | None:
        """Read it; one that was written for another account only where `is_ours` does not matter.

        Raises StateRefused, VaultRefused.
        """
        for _ in range(_TRIES):
            facts = await self._facts()
            if not facts:
                return None
            with suppress(NotFound):
                body = await self._body(facts)
                after = await self._beside.facts(keys.MASTER_KEY)
                if after and after.etag == facts.etag:
                    return Found(await self._read(body, is_ours=is_ours), facts.etag, after.age)
        raise Unavailable(f"the object {keys.MASTER_KEY} is being changed too often")

    async def put(self, document: Document) -> None:
        """Make it; raises Conflict where it is there, VaultRefused."""
        await self._beside.put(keys.MASTER_KEY, await self._signing.signed(document), {})

    async def replace(self, document: Document, etag: str) -> None:
        """Write it anew; raises Conflict where it has changed, VaultRefused."""
        await self._beside.replace(keys.MASTER_KEY, await self._signing.signed(document), etag)

    async def _facts(self) -> Facts | None:
        with suppress(NotPrepared):
            return await self._beside.facts(keys.MASTER_KEY)
        return None

    async def _body(self, facts: Facts) -> bytes:
        if facts.size > _MOST_BYTES:
            raise _refused(
                f"has {facts.size:,} bytes, and the app writes no such: bring back its own"
            )
        stream = self._beside.read(keys.MASTER_KEY, 0, facts.size)
        return b"".join([piece async for piece in stream])

    async def _read(self, body: bytes, *, is_ours: bool) -> Document:
        try:
            document = await self._signing.read(body)
        except DocumentUnreadable as error:
            raise _refused(str(error)) from error
        mine = self._signing.account
        if is_ours and document.account != mine:
            raise _refused(
                f"was written for the storage account {document.account}, and this is {mine}: if"
                " its content was brought here, python -m infra.admin master-key adopt; else bring"
                " back the object of this account"
            )
        return document


def _refused(what: str) -> StateRefused:
    return StateRefused(f"the object {keys.MASTER_KEY} in the container {keys.REGISTRIES} {what}")
