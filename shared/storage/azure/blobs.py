"""Objects in Azure Blob storage: block blobs in one container."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError

from shared.storage import keys
from shared.storage.azure.account.account import AzureAccount, Key
from shared.storage.azure.account.tries import CONTENT_SECONDS
from shared.storage.azure.addresses import Addresses
from shared.storage.azure.answers import Answered, in_time, patiently, soon
from shared.storage.azure.downloads import stream
from shared.storage.azure.errors import translated
from shared.storage.ports import Block, Conflict, Facts, NotFound

if TYPE_CHECKING:
    from azure.storage.blob import ContentSettings, UserDelegationKey
    from azure.storage.blob.aio import BlobClient


_SLICE_BYTES = 256 * 1024

# Above this aiohttp warns of a body of plain bytes, the only kind that Put Blob takes of the SDK.
_ONE_CALL_BYTES = 1024 * 1024
_ONLY = "only"

# How long a download of ours may take to begin.
_READ_SECONDS = 300

_KEY_LIFE = timedelta(days=1)
_CLOCK_SKEW = timedelta(minutes=5)


def _now() -> datetime:
    return datetime.now(UTC)


class AzureObjects:
    """Objects in one container of one storage account."""

    def __init__(
        self,
        account: AzureAccount,
        container: str = keys.CONTAINER,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._account = account
        self._container = container
        self._now = now
        self._delegation: tuple[UserDelegationKey, datetime] | None = None
        self._borrowing = asyncio.Lock()
        self._addresses = Addresses()

    async def prepare(self) -> None:
        """Make the container where it is missing."""
        with translated(f"container {self._container}"), suppress(ResourceExistsError):
            await patiently(self._account.blobs.create_container(self._container))

    @in_time
    async def stage(self, name: str, block_id: str, data: bytes | bytearray | memoryview) -> None:
        """Keep a piece of an object to be; the same id again replaces the piece."""
        body = _Body(data)
        # The SDK's types leave out async iterables, which its transport takes.
        sent = cast("Iterable[bytes]", body)
        with translated(f"object {name}"):
            await self._blob(name).stage_block(
                block_id, sent, length=len(body), read_timeout=CONTENT_SECONDS
            )

    @soon
    async def staged(self, name: str) -> list[Block]:
        """List the staged pieces that are not part of an object yet."""
        try:
            with translated(f"object {name}"):
                _, blocks = await self._blob(name).get_block_list("uncommitted")
        except NotFound:
            return []
        return [Block(block.id, block.size) for block in blocks]

    @in_time
    async def commit(self, name: str, block_ids: Sequence[str], metadata: Mapping[str, str]) -> str:
        """Make the object out of staged pieces, and forget the others."""
        from azure.storage.blob import BlobBlock, BlockState  # noqa: PLC0415 - see `accounts`

        blocks = [BlobBlock(block_id, BlockState.UNCOMMITTED) for block_id in block_ids]
        with translated(f"object {name}"):
            made = await self._blob(name).commit_block_list(
                blocks,
                metadata=dict(metadata),
                content_settings=_octets(),
                match_condition=MatchConditions.IfMissing,
                read_timeout=CONTENT_SECONDS,
            )
        return str(made["etag"])

    @in_time
    async def put(self, name: str, data: bytes, metadata: Mapping[str, str]) -> str:
        """Make a small object at once; one of more than 1 MiB in two calls."""
        if len(data) > _ONE_CALL_BYTES:
            await self.stage(name, _ONLY, data)
            return await self.commit(name, [_ONLY], metadata)
        return await self._put(name, data, metadata)

    @soon
    async def _put(self, name: str, data: bytes, metadata: Mapping[str, str]) -> str:
        with translated(f"object {name}"):
            made = await self._blob(name).upload_blob(
                data, metadata=dict(metadata), content_settings=_octets(), overwrite=False
            )
        return str(made["etag"])

    @soon
    async def replace(self, name: str, data: bytes, etag: str) -> str:
        """Put a small object in the place of the one with this ETag."""
        try:
            with translated(f"object {name}"):
                made = await self._blob(name).upload_blob(
                    data,
                    content_settings=_octets(),
                    overwrite=True,
                    etag=etag,
                    match_condition=MatchConditions.IfNotModified,
                )
        except NotFound as error:
            raise Conflict(f"object {name}") from error
        return str(made["etag"])

    @soon
    async def facts(self, name: str) -> Facts | None:
        """Tell an object's size and metadata, or None."""
        answered = Answered()
        try:
            with translated(f"object {name}"):
                found = await self._blob(name).get_blob_properties(raw_response_hook=answered)
        except NotFound:
            return None
        return Facts(found.size, found.metadata, found.etag, answered.since(found.last_modified))

    @soon
    async def page(self, prefix: str, position: str, limit: int) -> tuple[list[str], str]:
        """List some names; a position is what Azure gives to go on from."""
        container = self._account.blobs.get_container_client(self._container)
        listed = container.list_blob_names(name_starts_with=prefix, results_per_page=limit)
        pages: Any = listed.by_page(position or None)  # the SDK's type has no token
        with translated(f"container {self._container}"):
            names = [name async for name in await anext(pages)]
        return names, str(pages.continuation_token or "")

    async def read(
        self, name: str, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes]:
        """Stream `length` bytes from `start` on."""
        if length == 0 and await self.facts(name) is None:
            raise NotFound(f"object {name}")
        if length == 0:
            return
        end = None if length is None else start + length
        sign = partial(self.url, name, _READ_SECONDS)
        async with aclosing(stream(self._account.session, sign, name, start, end)) as pieces:
            async for piece in pieces:
                yield piece

    @soon
    async def delete(self, name: str, etag: str) -> bool:
        """Remove the object with this ETag; False where there is none (any more)."""
        try:
            with translated(f"object {name}"):
                await self._blob(name).delete_blob(
                    etag=etag, match_condition=MatchConditions.IfNotModified
                )
        except (NotFound, Conflict):
            return False
        return True

    async def url(self, name: str, seconds: int) -> str:
        """Give a signed address from which anyone may read the object.

        It is good for so many seconds, or, where it was given out before, for at least three
        quarters of them.
        """
        now, shared = self._now(), self._account.shared_key
        expiry = now + timedelta(seconds=seconds)
        key = shared or await self._delegation_key(expiry)
        address = self._addresses.get(name, seconds, key, now)
        if address is None:
            address = self._sign(name, expiry, key)
            self._addresses.keep(name, seconds, key, now, address)
        return address

    def _sign(self, name: str, expiry: datetime, key: "Key | UserDelegationKey") -> str:
        from azure.storage import blob as sdk  # noqa: PLC0415 - see `accounts`

        blob = self._blob(name)
        signature = sdk.generate_blob_sas(
            self._account.blobs.account_name or "",
            self._container,
            name,
            account_key=key.secret if isinstance(key, Key) else None,
            user_delegation_key=None if isinstance(key, Key) else key,
            permission=sdk.BlobSasPermissions(read=True),
            expiry=expiry,
            protocol=blob.scheme if blob.scheme == "https" else "https,http",
        )
        return f"{blob.url}?{signature}"

    async def _delegation_key(self, needed_until: datetime) -> "UserDelegationKey":
        """Borrow a key to sign with, and keep it while it outlasts the signatures."""
        async with self._borrowing:
            if self._delegation is None or self._delegation[1] < needed_until:
                self._delegation = await self._borrow(needed_until)
            return self._delegation[0]

    async def _borrow(self, needed_until: datetime) -> "tuple[UserDelegationKey, datetime]":
        now = self._now()
        expiry = max(now + _KEY_LIFE, needed_until)
        with translated("a key to sign with"):
            asked = self._account.blobs.get_user_delegation_key(now - _CLOCK_SKEW, expiry)
            key = await patiently(asked)
        return key, expiry

    def _blob(self, name: str) -> "BlobClient":
        return self._account.blobs.get_blob_client(self._container, name)


def _octets() -> "ContentSettings":
    from azure.storage.blob import ContentSettings  # noqa: PLC0415 - see `accounts`

    return ContentSettings(content_type="application/octet-stream")


class _Body:
    """Bytes to send, slice by slice without a copy; whole, aiohttp warns of them above 1 MiB.

    Each try of a call iterates anew, so that a retry sends all of it again.
    """

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._view = memoryview(data).cast("B")

    def __len__(self) -> int:
        return len(self._view)

    async def __aiter__(self) -> AsyncGenerator[memoryview]:
        for at in range(0, len(self._view), _SLICE_BYTES):
            yield self._view[at : at + _SLICE_BYTES]
