"""Bodies of manifests kept in the process: bytes by digest never change, so they need no asking.

Only bytes are kept. That a caller may read them, and that a repository holds them, is asked each
time.
"""

from collections import OrderedDict
from collections.abc import Hashable

from shared.model.digest import Digest


class Bodies[Key: Hashable = Digest]:
    """The bodies used last, up to a number of bytes in all."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._size = 0
        self._bodies: OrderedDict[Key, bytes] = OrderedDict()

    def get(self, digest: Key) -> bytes | None:
        """Give a body, if it is kept."""
        body = self._bodies.get(digest)
        if body is not None:
            self._bodies.move_to_end(digest)
        return body

    def keep(self, digest: Key, body: bytes) -> None:
        """Keep a body; those not used for longest give way."""
        if digest in self._bodies or len(body) > self._limit:
            return
        self._bodies[digest] = body
        self._size += len(body)
        while self._size > self._limit:
            _, oldest = self._bodies.popitem(last=False)
            self._size -= len(oldest)
