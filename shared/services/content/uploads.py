"""Uploads: begun, continued, finished, mounted, cancelled.

The session is in the client's hands (`model.upload`); storage sees only staged blocks until the
last step:

    U1 make the object out of the staged blocks, if there is none of this name
    U2 transaction in the digest's partition: the content, and that this repository holds it
    U3 write the link, which makes the blob visible

A crash after U1 leaves an object that nothing refers to; after U2 a repository that is said to
hold what it does not show. Both are left to the collector, and the client's repeated PUT goes
through all the steps again: at U1 it finds its own object under its own digest, and goes on. The
collector meets us as described in `storage.holdings`: it removes nothing whose rows were written
within the grace period, so not between our U2 and U3 either. So that it may remove an object whose
rows are gone for good, a PUT that comes again takes up an object for ten minutes only (`_AGAIN`,
below any grace period); later it succeeds if the blob is there, or the upload is unknown.

Cancelling makes an empty object of the session's name: then U1 of a PUT that comes late or at the
same time fails, and the session's status is that it is unknown. The sweep removes it.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

from shared.errors import (
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
from shared.services.content.staging import Place, Staging
from shared.storage import keys
from shared.storage.origins import BLOB, CANCELLED, Origin
from shared.storage.ports import Conflict, NotFound, Put, Update
from shared.storage.rows.holdings import Content
from shared.storage.rows.records import Link
from shared.storage.stores import Stores

_SOURCES = 1_000
_AGAIN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Part:
    """A body that continues an upload.

    `start` and `end` are the first and last byte's places in the blob (None: wherever the upload
    is); `length` is the number of bytes announced (None: not announced).
    """

    body: AsyncIterator[bytes]
    start: int | None = None
    end: int | None = None
    length: int | None = None


class Uploads:
    """The uploads into a registry's repositories."""

    def __init__(self, stores: Stores, staging: Staging, seal: Seal, lifetime: timedelta) -> None:
        self._stores = stores
        self._staging = staging
        self._seal = seal
        self._lifetime = lifetime

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
        hasher, nonce = upload.hasher(), bytes.fromhex(self._stores.new_id())[:8]
        room = BLOCKS - upload.blocks
        place = Place(self._object(upload), nonce, upload.last)
        staged = await self._staging.stage(place, part.body, hasher, room)
        _check_length(part, staged.size)
        if not staged.blocks:
            return upload
        offset = upload.offset + staged.size
        return upload.extended(offset, hasher.state(), Piece(nonce, staged.blocks))

    async def status(self, upload: Upload) -> None:
        """Raise BlobUploadUnknown where the session is finished or cancelled (end-13)."""
        if await self._stores.objects.facts(self._object(upload)):
            raise BlobUploadUnknown

    async def cancel(self, repository: RepositoryName, upload: Upload) -> None:
        """End a session (end-14); raises BlobUploadUnknown where it has ended."""
        mark = self._origin(CANCELLED, repository)
        try:
            await self._stores.objects.commit(self._object(upload), [], mark.metadata())
        except Conflict:
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
            upload = Upload(upload.id, upload.started, digest.algorithm, state)
        upload = await self.append(upload, part)
        is_hashed = upload.algorithm == digest.algorithm
        if is_hashed:
            _check_digest(upload.hasher(), digest)
        if not await self._make_object(repository, upload, digest):
            return
        if not is_hashed:
            await self._check_object(upload, digest)
        await self._show(repository, digest, Content(self._object(upload), upload.offset))

    async def sources(self, digest: Digest) -> list[RepositoryName]:
        """List some repositories that may hold a blob (content discovery)."""
        return await self._stores.holdings.holders(digest, _SOURCES)

    async def mount(
        self, repository: RepositoryName, digest: Digest, source: RepositoryName
    ) -> bool:
        """Show a blob of another repository in this one (end-11); False where that has none."""
        link = await self._stores.contents.link(source, digest)
        if link is None:
            return False
        now = self._stores.clock()
        if not await self._stores.holdings.share(digest, repository, link.object, now):
            return False
        await self._link(repository, digest, Content(link.object, link.size))
        return True

    async def _make_object(
        self, repository: RepositoryName, upload: Upload, digest: Digest
    ) -> bool:
        """Make the object; False where an earlier try of this PUT has brought it to its end."""
        objects, name = self._stores.objects, self._object(upload)
        about = self._origin(BLOB, repository, digest)
        try:
            block_ids = await self._block_ids(upload)
            await objects.commit(name, block_ids, about.metadata())
        except (Conflict, NotFound):
            facts = await objects.facts(name)
            if facts and Origin.read(facts).digest != digest:
                raise BlobUploadUnknown from None
            if facts and facts.age < _AGAIN:
                return True
            await self._renew(repository, digest)
            return False
        return True

    async def _renew(self, repository: RepositoryName, digest: Digest) -> None:
        """Make a blob safe for the grace period, as the try that showed it did."""
        renewal = Update(keys.blob(digest), {"seen": self._stores.clock()})
        try:
            await self._stores.contents.commit(repository, [renewal])
        except NotFound:
            raise BlobUploadUnknown from None

    def _origin(
        self, kind: str, repository: RepositoryName, digest: Digest | None = None
    ) -> Origin:
        return Origin(kind, self._stores.clock(), self._stores.new_id(), repository, digest)

    def _object(self, upload: Upload) -> str:
        return keys.object_name(self._stores.generation, upload.id)

    async def _block_ids(self, upload: Upload) -> list[str]:
        if upload.pieces is not None:
            return listed_block_ids(upload.pieces)
        staged = await self._stores.objects.staged(self._object(upload))
        block_ids = chained_block_ids((block.id for block in staged), upload.last)
        if len(block_ids) != upload.blocks:
            raise NotFound(f"a block of the upload {upload.id}")
        return block_ids

    async def _check_object(self, upload: Upload, digest: Digest) -> None:
        """Hash what was staged before the digest's algorithm was known."""
        hasher = Hasher(digest.algorithm)
        async for piece in self._stores.objects.read(self._object(upload)):
            hasher.update(bytearray(piece))
        try:
            _check_digest(hasher, digest)
        except DigestInvalid:
            await self._stores.discard(self._object(upload))
            raise

    async def _show(self, repository: RepositoryName, digest: Digest, content: Content) -> None:
        now = self._stores.clock()
        used = await self._stores.holdings.add(digest, repository, content, now)
        await self._link(repository, digest, used)
        if used.object != content.object:
            await self._stores.discard(content.object)

    async def _link(self, repository: RepositoryName, digest: Digest, content: Content) -> None:
        link = Link(digest, content.size, content.object, self._stores.clock())
        await self._stores.contents.commit(repository, [Put(keys.blob(digest), link.values())])


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
