"""How a client pushes: a HEAD for each blob, a mount, an upload, and the manifest at last.

A manifest whose PUT is not answered counts as pushed where a HEAD finds its tag: clients do not
repeat it then. Who deletes waits until no PUT can take effect late any more that was not answered:
it would bring back what was deleted. One that is refused for blobs that were brought long ago is
pushed once more.
"""

import asyncio
import time
from collections.abc import Sequence
from enum import Enum

from tests.soak.asking import TRIES, Asker, BrokenPromise, NoAnswerError
from tests.soak.model import Content, Known
from tests.soak.weather import LONGEST_DELAY

_LOOKS = 0.5
_CREATED, _OK, _ACCEPTED, _UNKNOWN = 201, 200, 202, 404


class Put(Enum):
    """How a manifest's PUT ended; FOUND: without an answer, and then a HEAD found it."""

    CREATED = "created"
    FOUND = "found"
    LACKS_BLOBS = "lacks blobs"


class Pusher:
    """Pushes for one actor; what it brings is safe for `grace` seconds."""

    def __init__(self, asker: Asker, repositories: Sequence[str], grace: float) -> None:
        self._asker = asker
        self._repositories = repositories
        self._grace = grace
        self._late_until = 0.0

    async def push(self, known: Known, reference: str) -> Put:
        """Push a manifest with its blobs; raises NoAnswerError where it is unknown whether."""
        for _ in range(TRIES):
            began = time.monotonic()
            for blob in known.blobs:
                await self.bring(known.repository, blob)
            put = await self.put(known, reference, began)
            if put is not Put.LACKS_BLOBS:
                return put
        raise NoAnswerError(f"blobs of {known.digest} go sooner than it comes")

    async def bring(self, repository: str, blob: Content) -> None:
        """See that a repository holds a blob."""
        path = f"/v2/{repository}/blobs/{blob.digest}"
        if (await self._asker.expect({_OK, _UNKNOWN}, "HEAD", path)).status == _OK:
            return
        other = self._asker.habits.choice(self._repositories)
        for _ in range(TRIES):
            location = await self.mount(repository, blob, other)
            if not location or await self._upload(location, blob):
                return
        raise BrokenPromise(f"no upload of {blob.digest} to {repository} succeeds")

    async def mount(self, repository: str, blob: Content, other: str) -> str:
        """Ask for a blob of another repository; give where to upload it, where that was no use."""
        path = f"/v2/{repository}/blobs/uploads/?mount={blob.digest}&from={other}"
        begun = await self._asker.expect({_CREATED, _ACCEPTED}, "POST", path)
        is_mounted = begun.status == _CREATED
        self._asker.did["mounted"] += is_mounted
        return "" if is_mounted else begun.headers["Location"]

    async def _upload(self, location: str, blob: Content) -> bool:
        """Upload a blob whole; False where the session is not known any more."""
        path = f"{location}{'&' if '?' in location else '?'}digest={blob.digest}"
        ended = await self._asker.expect(
            {_CREATED, _UNKNOWN}, "PUT", path, blob.content, blob.media_type
        )
        return ended.status == _CREATED

    async def put(self, known: Known, reference: str, began: float | None = None) -> Put:
        """Put a manifest; it may lack blobs where they were brought since then, too long ago."""
        path = f"/v2/{known.repository}/manifests/{reference}"
        manifest = known.manifest
        for attempt in range(TRIES):
            put = await self._asker.ask(
                "PUT", path, manifest.content, manifest.media_type, attempt=attempt
            )
            if put and put.status == _CREATED:
                return Put.CREATED
            if put is None:
                self._late_until = time.monotonic() + LONGEST_DELAY
            is_late = began is not None and time.monotonic() - began > self._grace
            if put and put.status == _UNKNOWN and is_late:
                self._asker.did["brought again"] += 1
                return Put.LACKS_BLOBS
            if put:
                raise self._asker.broken("PUT", path, put)
            if self._asker.habits.random() < _LOOKS and await self._finds(path, known):
                return Put.FOUND
        raise NoAnswerError(f"PUT {path}")

    async def let_late_ones_end(self) -> None:
        """Wait until no PUT of before can take effect any more."""
        await asyncio.sleep(max(0.0, self._late_until - time.monotonic()))

    async def _finds(self, path: str, known: Known) -> bool:
        """Tell whether a HEAD finds the manifest."""
        found = await self._asker.ask("HEAD", path)
        is_there = found and found.headers.get("Docker-Content-Digest") == known.digest
        self._asker.did["found by HEAD"] += bool(is_there)
        return bool(is_there)
