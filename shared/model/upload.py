"""Upload sessions: all that is known of an upload, sealed into the token that its Location carries.

The registry keeps no session. The token holds the name of the object to be, the offset, the state
of the hash and the pieces so far, under a MAC that also covers the repository and the caller, so
that it is of no use to another, or elsewhere. Any instance continues any session. The object's name
is drawn by the first request that brings bytes: two that begin at the same time make two objects.

A piece is what one request staged: `count` blocks whose ids hold the piece's random nonce, that of
the piece before it, and their place in it. Two requests that continue one session at the same time
write other ids, so bytes of the one cannot slip into the blob of the other; what was staged by a
request that failed is in nobody's token. The token lists the last pieces only as long as they are
few: of a longer session the chain of nonces is found again in the list of staged blocks.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from shared.errors import BlobUploadUnknown
from shared.model.hashing import STATE_BYTES, Hasher

LISTED_PIECES = 46
"""Pieces that a token lists, 12 bytes each; the query of a URL ends at 4,096 characters."""

BLOCKS = 50_000
"""Blocks of one object (Azure's limit)."""

_NONCE_BYTES = 8
_FIRST = bytes(_NONCE_BYTES)
_NO_OBJECT = bytes(16)
_HEAD = struct.Struct(">B16s16sQQI8s??")
_PIECE = struct.Struct(">8sI")
_MAC_BYTES = 32
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Piece:
    """What one request staged: its nonce and the number of its blocks."""

    nonce: bytes
    count: int


@dataclass(frozen=True, slots=True)
class Upload:
    """A session: `id` is its own, `started` is in seconds since 1970.

    `object` is what was drawn for the object to be, empty without any bytes yet; `last` is the
    nonce of the last piece; `pieces` is None once there are too many to list.
    """

    id: str
    started: int
    algorithm: str
    state: bytes
    offset: int = 0
    blocks: int = 0
    last: bytes = _FIRST
    pieces: tuple[Piece, ...] | None = ()
    object: str = ""

    @classmethod
    def start(cls, upload_id: str, started: int, algorithm: str = "sha256") -> Self:
        """Begin an upload of nothing yet; `upload_id` is 32 hexadecimal digits."""
        return cls(upload_id, started, algorithm, Hasher(algorithm).state())

    def extended(self, offset: int, state: bytes, piece: Piece) -> Self:
        """Give the session after one more piece."""
        pieces = None if self.pieces is None else (*self.pieces, piece)
        if pieces is not None and len(pieces) > LISTED_PIECES:
            pieces = None
        return replace(
            self,
            offset=offset,
            state=state,
            blocks=self.blocks + piece.count,
            last=piece.nonce,
            pieces=pieces,
        )

    def hasher(self) -> Hasher:
        """Take up the hash where the last request left it."""
        return Hasher(self.algorithm, self.state)


def block_id(nonce: bytes, previous: bytes, place: int) -> str:
    """Name a block: 40 hexadecimal digits."""
    return f"{nonce.hex()}{previous.hex()}{place:08x}"


def listed_block_ids(pieces: Iterable[Piece]) -> list[str]:
    """Name the blocks of these pieces in order."""
    ids, previous = [], _FIRST
    for piece in pieces:
        ids += [block_id(piece.nonce, previous, place) for place in range(piece.count)]
        previous = piece.nonce
    return ids


def chained_block_ids(staged: Iterable[str], last: bytes) -> list[str]:
    """Find the chain of pieces that ends with the nonce `last` among all staged blocks."""
    pieces: dict[str, list[str]] = {}
    for name in staged:
        pieces.setdefault(name[: 2 * _NONCE_BYTES], []).append(name)
    chain: list[list[str]] = []
    nonce = last.hex()
    while piece := pieces.pop(nonce, None):
        chain.append(sorted(piece))
        nonce = piece[0][2 * _NONCE_BYTES : 4 * _NONCE_BYTES]
    return [name for piece in reversed(chain) for name in piece]


class Seal:
    """Turns sessions into tokens and back.

    `key` is a secret of the registry, `older` are those that it replaces: they open as well.
    """

    def __init__(self, key: bytes, *older: bytes) -> None:
        self._key = key
        self._all = key, *older

    def close(self, upload: Upload, repository: str, caller: str) -> str:
        """Give the token: URL-safe text of at most 1,300 characters."""
        packed = _pack(upload)
        mac = _mac(self._key, packed, repository, caller)
        return base64.urlsafe_b64encode(packed + mac).rstrip(b"=").decode()

    def open(self, token: str, repository: str, caller: str) -> Upload:
        """Read a token that this seal closed for this repository and caller.

        Raises BlobUploadUnknown for any other: forged, another's, of another repository.
        """
        try:
            sealed = base64.b64decode(
                token + "=" * (-len(token) % 4), altchars=b"-_", validate=True
            )
        except (binascii.Error, ValueError):
            raise BlobUploadUnknown from None
        packed, mac = sealed[:-_MAC_BYTES], sealed[-_MAC_BYTES:]
        macs = [_mac(key, packed, repository, caller) for key in self._all]
        if not any([hmac.compare_digest(mac, one) for one in macs]):  # noqa: C419 - in equal time
            raise BlobUploadUnknown
        return _unpack(packed)


def _mac(key: bytes, packed: bytes, repository: str, caller: str) -> bytes:
    bound = b"\0".join((repository.encode(), caller.encode(), packed))
    return hmac.digest(key, bound, hashlib.sha256)


def _pack(upload: Upload) -> bytes:
    head = _HEAD.pack(
        _VERSION,
        bytes.fromhex(upload.id),
        bytes.fromhex(upload.object) or _NO_OBJECT,
        upload.started,
        upload.offset,
        upload.blocks,
        upload.last,
        upload.algorithm == "sha512",
        upload.pieces is None,
    )
    pieces = (_PIECE.pack(piece.nonce, piece.count) for piece in upload.pieces or ())
    return b"".join((head, upload.state, *pieces))


def _unpack(packed: bytes) -> Upload:
    head = _HEAD.unpack_from(packed)
    version, name, drawn, started, offset, blocks, last, is_sha512, is_long = head
    if version != _VERSION:
        raise BlobUploadUnknown
    algorithm = "sha512" if is_sha512 else "sha256"
    state_end = _HEAD.size + STATE_BYTES[algorithm]
    pieces = tuple(Piece(*fields) for fields in _PIECE.iter_unpack(packed[state_end:]))
    return Upload(
        id=name.hex(),
        started=started,
        algorithm=algorithm,
        state=packed[_HEAD.size : state_end],
        offset=offset,
        blocks=blocks,
        last=last,
        pieces=None if is_long else pieces,
        object="" if drawn == _NO_OBJECT else drawn.hex(),
    )
