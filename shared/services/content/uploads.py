"""Uploads: begun, continued, finished, mounted, cancelled.

The session is in the client's hands (`model.upload`); storage sees only staged blocks until the
last step:

    U1 make the object out of the staged blocks, if there is none of this name
    U2 and U3: `joining`, which makes the blob visible

A crash after U1 leaves an object that nothing refers to; later, a repository that is said to hold
what it does not show. Both are left to the collector.

An object may come into service by the very call that made it, and soon after (half of L): nobody
else knows that its bytes are the ones that were hashed, or that it is not on its way to be removed
by now. So a PUT that finds the object there already, or blocks of it missing, goes on only if the
object says that this call has made it (its answer was lost, and the storage client has repeated
it). Otherwise it is a client that repeats what has succeeded, and the repository shows the blob,
or the upload is unknown, and the client begins again.

    PUT 1 makes X, dies       PUT 2 finds X, and nothing shown: unknown
    PUT 1 makes X, shows it   PUT 2 finds X and the blob shown: created
    PUT A(token a), PUT B(token b) of one object: whose U1 is second finds X, made by another call

What was hashed on the way is known. A digest of another algorithm, named at the end only, is
checked by reading the object back before anything refers to it.

Cancelling makes an empty object of the name: then U1 of a PUT that comes late or at the same time
fails, and the session's status is that it is unknown. A session without bytes has its own id for
that name; bytes that are sent for it all the same begin it anew.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.errors import (
    BlobUploadInvalid,
    BlobUploadUnknown,
    DigestInvalid,
    RangeInvalid,
    SizeInvalid,
)
from shared.model.digest import Digest
from shared.model.hashing import Hasher
from shared.model.names import RepositoryName
from shared.model.upload import (
    BLOCKS,
    Piece,
    Seal,
    Upload,
    chained_block_ids,
    listed_block_ids,
)
from shared.services.attributes.locks import is_readable
from shared.services.content.joining import Joining
from shared.services.content.staging import Place, Staging
from shared.storage import keys
from shared.storage.ages import Span
from shared.storage.origins import BLOB, CANCELLED, Origin
from shared.storage.ports import Conflict, NotFound
from shared.storage.rows.holdings import Content
from shared.storage.stores import Stores

_PROPOSED, _TRIED = 1_000, 3
"""Repositories that are looked at, and tried, where a blob is to be mounted from any."""

_READ_BACK_SECONDS = 25
"""How long bytes are hashed anew at the end; clients wait for the answer for about 30 seconds."""

type May = Callable[[RepositoryName], bool]


@dataclass(frozen=True, slots=True)
class Part:
    """A body that continues an upload.

    `start` and `end` are the first and last byte's places in the blob (None: wherever the upload
    is); `length` is the number of bytes announced (None: not announced); `owner` is whose turn it
    takes.
    """

    body: AsyncIterator[bytes]
    start: int | None = None
    end: int | None = None
    length: int | None = None
    owner: str = ""


class Uploads:
    """The uploads into a registry's repositories."""

    def __init__(self, stores: Stores, staging: Staging, seal: Seal, lifetime: timedelta) -> None:
        self._stores = stores
        self._staging = staging
        self._seal = seal
        self._lifetime = lifetime
        self._joining = Joining(stores)

    def start(self, algorithm: str = "sha256") -> Upload:
        """Begin an upload (end-4a, end-4c); asks nothing of storage."""
        started = int(self._stores.clock().timestamp())
        return Upload.start(self._stores.new_id(), started, algorithm)

    def token(self, upload: Upload, repository: RepositoryName, caller: str) -> str:
        """Seal a session for its caller."""
        return self._seal.close(upload, repository, caller)

    def open(self, token: str, repository: RepositoryName, caller: str) -> Upload:
        """Read a session's token; raises BlobUploadUnknown where it is not good (any more)."""
        upload = self._seal.open(token, repository, caller)
        age = self._stores.clock().timestamp() - upload.started
        if age > self._lifetime.total_seconds():
            raise BlobUploadUnknown
        return upload

    async def append(self, upload: Upload, part: Part) -> Upload:
        """Stage a part; give the session after it (end-5).

        Raises:
            RangeInvalid: the part does not begin where the upload is; the session lives on.
            SizeInvalid: the part is not as long as announced.
            BlobUploadInvalid: the blob has too many parts.
        """
        _check_place(upload, part)
        drawn = upload.object or self._stores.new_id()
        hasher, nonce = upload.hasher(), bytes.fromhex(self._stores.new_id())[:8]
        room = BLOCKS - upload.blocks
        place = Place(self._named(drawn), nonce, upload.last)
        staged = await self._staging.stage(place, part.body, hasher, room, part.owner)
        _check_length(part, staged.size)
        if not staged.blocks:
            return upload
        offset, piece = upload.offset + staged.size, Piece(nonce, staged.blocks)
        return replace(upload, object=drawn).extended(offset, hasher.state(), piece)

    async def status(self, upload: Upload) -> None:
        """Raise BlobUploadUnknown where the session is finished or cancelled (end-13)."""
        if await self._stores.objects.facts(self._named(upload.object or upload.id)):
            raise BlobUploadUnknown

    async def cancel(self, repository: RepositoryName, upload: Upload) -> None:
        """End a session (end-14); raises BlobUploadUnknown where it has ended."""
        objects, call = self._stores.objects, self._stores.new_id()
        mark = Origin(CANCELLED, self._stores.clock(), call, repository)
        name = self._named(upload.object or upload.id)
        try:
            await objects.commit(name, [], mark.metadata())
        except Conflict:
            facts = await objects.facts(name)
            if facts is None or Origin.read(facts).by != call:
                raise BlobUploadUnknown from None

    async def commit(
        self, repository: RepositoryName, upload: Upload, digest: Digest, part: Part
    ) -> None:
        """Add a last part and make the blob visible under its digest (end-6).

        Raises:
            DigestInvalid: the bytes do not hash to the digest; nothing becomes visible.
            RangeInvalid, SizeInvalid, BlobUploadInvalid: as `append`.
            BlobUploadUnknown: the session has ended otherwise.
        """
        if upload.offset == 0 and upload.algorithm != digest.algorithm:
            state = Hasher(digest.algorithm).state()
            upload = replace(upload, algorithm=digest.algorithm, state=state)
        upload = await self.append(upload, part)
        is_hashed = upload.algorithm == digest.algorithm
        if is_hashed:
            _check_digest(upload.hasher(), digest)
        content = await self._make_object(repository, upload, digest)
        made = Span(self._stores.ticks)
        if content and not is_hashed:
            await self._read_back(content, digest)
        if content:
            await self._joining.bring(repository, digest, content, made)
        elif not await self._joining.share(repository, digest, repository):
            raise BlobUploadUnknown

    async def mount(
        self, repository: RepositoryName, digest: Digest, source: RepositoryName
    ) -> bool:
        """Show a blob of another repository in this one (end-11); False where that shows none."""
        if not await is_readable(self._stores, source):
            return False
        return await self._joining.share(repository, digest, source)

    async def discover(self, repository: RepositoryName, digest: Digest, may_pull: May) -> bool:
        """Show a blob of any repository that the caller may pull from (content discovery).

        The holders are proposals, a few of which are tried; the link of each decides.
        """
        proposed = await self._stores.holdings.holders(digest, "", _PROPOSED)
        for source in list(filter(may_pull, proposed))[:_TRIED]:
            if await self.mount(repository, digest, source):
                return True
        return False

    async def _make_object(
        self, repository: RepositoryName, upload: Upload, digest: Digest
    ) -> Content | None:
        """Make the object; None where this call has not made the one that is there."""
        objects, call = self._stores.objects, self._stores.new_id()
        name = self._named(upload.object or self._stores.new_id())
        about = Origin(BLOB, self._stores.clock(), call, repository, digest)
        try:
            block_ids = await self._block_ids(upload)
            etag = await objects.commit(name, block_ids, about.metadata())
        except (Conflict, NotFound):
            facts = await objects.facts(name)
            if facts is None or Origin.read(facts).by != call:
                return None
            etag = facts.etag
        return Content(name, etag, upload.offset)

    async def _block_ids(self, upload: Upload) -> list[str]:
        if upload.pieces is not None:
            return listed_block_ids(upload.pieces)
        staged = await self._stores.objects.staged(self._named(upload.object))
        block_ids = chained_block_ids((block.id for block in staged), upload.last)
        if len(block_ids) != upload.blocks:
            raise NotFound(f"a block of the upload {upload.id}")
        return block_ids

    async def _read_back(self, content: Content, digest: Digest) -> None:
        """Hash what was staged before the digest's algorithm was known."""
        hasher = Hasher(digest.algorithm)
        try:
            async with asyncio.timeout(_READ_BACK_SECONDS):
                async for piece in self._stores.objects.read(content.object):
                    hasher.update(bytearray(piece))
        except TimeoutError:
            raise BlobUploadInvalid(
                f"{content.size} bytes are too many to be hashed anew: begin the upload with"
                f" digest-algorithm={digest.algorithm}"
            ) from None
        _check_digest(hasher, digest)

    def _named(self, drawn: str) -> str:
        return keys.object_name(self._stores.generation, drawn)


def _check_place(upload: Upload, part: Part) -> None:
    if part.start is not None and part.start != upload.offset:
        raise RangeInvalid(
            f"the upload is at byte {upload.offset}, the part begins at byte {part.start}",
            offset=upload.offset,
        )


def _check_length(part: Part, size: int) -> None:
    wanted = part.length
    if part.start is not None and part.end is not None:
        wanted = part.end - part.start + 1
    if wanted is not None and wanted != size:
        raise SizeInvalid(f"{wanted} bytes were announced, {size} arrived")


def _check_digest(hasher: Hasher, digest: Digest) -> None:
    actual = hasher.digest()
    if actual != digest:
        raise DigestInvalid(
            f"the content's digest is {actual}, not {digest}", detail={"digest": str(digest)}
        )
