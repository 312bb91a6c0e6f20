"""Actors: clients that push, pull, retag, mount and delete, and notice each broken promise.

An actor acts as clients do: it asks for a blob by HEAD before it uploads it, repeats what was
answered with 5xx or not at all, and takes a tag that HEAD finds for a push that went through.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import httpx

from tests.soak.model import Content, Known, Mine, State, image, index

_TRIES = 12
_TAGS = 6
_LOOKS = 0.5
_NO_ANSWER = {429, 500, 502, 503, 504}


class BrokenPromise(Exception):
    """The registry did not do what it had promised."""


class NoAnswerError(Exception):
    """The registry did not answer, however often it was asked."""


@dataclass
class Actor:
    """One client, with manifests and tags of its own, in repositories that it shares."""

    name: str
    client: httpx.AsyncClient
    repositories: Sequence[str]
    pool: Sequence[Content]
    draws: random.Random
    mine: Mine = field(default_factory=Mine)
    did: Counter[str] = field(default_factory=Counter)
    number: int = 0

    async def act(self, times: int) -> None:
        """Do so many things, one after the other."""
        deeds = self._deeds()
        for _ in range(times):
            deed = self.draws.choices([*deeds], [*deeds.values()])[0]
            try:
                await deed()
            except NoAnswerError:
                self.did["no answer"] += 1
            self.did[deed.__name__] += 1

    def _deeds(self) -> dict[Callable[[], Awaitable[None]], int]:
        return {
            self.push: 8,
            self.push_index: 2,
            self.push_referrer: 2,
            self.push_again: 2,
            self.retag: 3,
            self.pull: 8,
            self.pull_by_tag: 6,
            self.delete: 5,
            self.untag: 2,
            self.list_tags: 1,
        }

    async def push(self) -> None:
        """Push a new image, half of them with a tag."""
        blobs = self.draws.sample(self.pool, self.draws.randint(1, 4))
        await self._push_image(self._somewhere(), blobs, None)

    async def push_referrer(self) -> None:
        """Push what refers to an image."""
        if subject := self._some_live():
            await self._push_image(subject.repository, self.draws.sample(self.pool, 2), subject)

    async def push_index(self) -> None:
        """Push an index of two images that are there."""
        live = self.mine.live(repository := self._somewhere())
        children = self.draws.sample(live, min(2, len(live)))
        children = [child for child in children if not child.children]
        manifest = index(self.name, self._next(), children)
        await self._put(Known(repository, manifest, children=children), self._some_tag())

    async def push_again(self) -> None:
        """Push what was deleted, with all its blobs."""
        gone = [known for known in self.mine.manifests if known.state is State.GONE]
        known = self.draws.choice(gone) if gone else None
        if known and all(child.state is State.LIVE for child in known.children):
            for blob in known.blobs:
                await self._bring(known.repository, blob)
            await self._put(known, self._some_tag())

    async def retag(self) -> None:
        """Point a tag to what is there."""
        if known := self._some_live():
            await self._put(known, self._tag())

    async def pull(self) -> None:
        """Pull all of a manifest."""
        if known := self._some_live():
            await self.check(known)

    async def pull_by_tag(self) -> None:
        """Pull by a tag."""
        places = [place for place in self.mine.tags if place not in self.mine.unknown_tags]
        if places:
            await self.check_tag(*self.draws.choice(places))

    async def delete(self) -> None:
        """Delete a manifest that no index of ours needs."""
        known = self._some_live()
        if known is None or self.mine.is_used(known):
            return
        await self.remove(known)

    async def remove(self, known: Known) -> None:
        """Delete a manifest, whether it is there or not."""
        tags = [place for place, target in self.mine.tags.items() if target is known]
        self.mine.doomed(known)
        await self._expect({202, 404}, "DELETE", self._manifest(known))
        self.mine.deleted(known)
        self.mine.unknown_tags -= set(tags)

    async def untag(self) -> None:
        """Delete a tag."""
        mine = self.mine
        places = [it for it, target in mine.tags.items() if target and it not in mine.unknown_tags]
        if places:
            await self.remove_tag(*self.draws.choice(places))

    async def remove_tag(self, repository: str, tag: str) -> None:
        """Delete a tag, whether it is there or not."""
        self.mine.unknown_tags.add((repository, tag))
        await self._expect({202, 404}, "DELETE", f"/v2/{repository}/manifests/{tag}")
        self.mine.pointed(repository, tag, None)

    async def list_tags(self) -> None:
        """List the tags of a repository: ours are there."""
        repository = self._somewhere()
        answer = await self._expect({200, 404}, "GET", f"/v2/{repository}/tags/list?n=1000")
        found = set(answer.json()["tags"] or []) if answer.status_code == httpx.codes.OK else set()
        for (place, tag), target in self.mine.tags.items():
            if place != repository or (place, tag) in self.mine.unknown_tags:
                continue
            if (tag in found) != (target is not None):
                raise BrokenPromise(f"{repository}: tag {tag} listed: {tag in found}")

    async def check(self, known: Known) -> None:
        """See that a manifest is there, with all that it needs."""
        found = await self._expect({200}, "GET", self._manifest(known))
        if found.content != known.manifest.content:
            raise BrokenPromise(f"{known.digest} has other bytes")
        for blob in known.blobs:
            path = f"/v2/{known.repository}/blobs/{blob.digest}"
            got = await self._expect({200}, "GET", path)
            if got.content != blob.content:
                raise BrokenPromise(f"{blob.digest} has other bytes in {known.repository}")

    async def check_tag(self, repository: str, tag: str) -> None:
        """See that a tag points to where we pointed it."""
        known = self.mine.tags[repository, tag]
        status = 200 if known else 404
        found = await self._expect({status}, "GET", f"/v2/{repository}/manifests/{tag}")
        if known and found.content != known.manifest.content:
            raise BrokenPromise(f"{repository}:{tag} points elsewhere")

    async def check_gone(self, known: Known) -> None:
        """See that what was deleted is not there."""
        await self._expect({404}, "GET", self._manifest(known))

    async def _push_image(
        self, repository: str, blobs: Sequence[Content], subject: Known | None
    ) -> None:
        for blob in blobs:
            await self._bring(repository, blob)
        manifest = image(self.name, self._next(), blobs, subject)
        await self._put(Known(repository, manifest, blobs, subject=subject), self._some_tag())

    async def _bring(self, repository: str, blob: Content) -> None:
        """See that a repository holds a blob, as a client does: HEAD, mount, upload."""
        path = f"/v2/{repository}/blobs/{blob.digest}"
        if (await self._expect({200, 404}, "HEAD", path)).status_code == httpx.codes.OK:
            return
        other = self.draws.choice(self.repositories)
        for _ in range(_TRIES):
            query = f"?mount={blob.digest}&from={other}"
            begun = await self._expect(
                {201, 202}, "POST", f"/v2/{repository}/blobs/uploads/{query}"
            )
            if begun.status_code == httpx.codes.CREATED:
                return
            location = httpx.URL(begun.headers["Location"])
            ended = await self._expect(
                {201, 404},
                "PUT",
                str(location.copy_merge_params({"digest": blob.digest})),
                content=blob.content,
                headers={"Content-Type": "application/octet-stream"},
            )
            if ended.status_code == httpx.codes.CREATED:
                return
        raise BrokenPromise(f"no upload of {blob.digest} to {repository} succeeds")

    async def _put(self, known: Known, tag: str | None) -> None:
        """Put a manifest; where that is not answered, a HEAD that finds it will do."""
        if known not in self.mine.manifests:
            self.mine.manifests.append(known)
        known.state = State.UNKNOWN
        if tag:
            self.mine.unknown_tags.add((known.repository, tag))
            self.mine.tags.setdefault((known.repository, tag), None)
        await self._put_until_it_is_there(known, tag or known.digest)
        known.state = State.LIVE
        if tag:
            self.mine.pointed(known.repository, tag, known)

    async def _put_until_it_is_there(self, known: Known, reference: str) -> None:
        path = f"/v2/{known.repository}/manifests/{reference}"
        headers = {"Content-Type": known.manifest.media_type}
        for attempt in range(_TRIES):
            put = await self._ask("PUT", path, known.manifest.content, headers, attempt)
            if put and put.status_code == httpx.codes.CREATED:
                return
            if put:
                raise self._broken("PUT", path, put)
            if self.draws.random() < _LOOKS and await self._finds(path, known):
                return
        raise NoAnswerError(f"PUT {path}")

    async def _finds(self, path: str, known: Known) -> bool:
        """Tell whether a HEAD finds the manifest: clients do not push it again then."""
        found = await self._ask("HEAD", path)
        is_there = found and found.headers.get("Docker-Content-Digest") == known.digest
        self.did["found by HEAD"] += bool(is_there)
        return bool(is_there)

    async def _expect(
        self,
        statuses: set[int],
        method: str,
        path: str,
        *,
        content: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Ask until there is an answer; one that breaks a promise ends the soak."""
        for attempt in range(_TRIES):
            answer = await self._ask(method, path, content, headers, attempt)
            if answer and answer.status_code in statuses:
                return answer
            if answer:
                raise self._broken(method, path, answer)
        raise NoAnswerError(f"{method} {path}")

    async def _ask(
        self,
        method: str,
        path: str,
        content: bytes = b"",
        headers: dict[str, str] | None = None,
        attempt: int = 0,
    ) -> httpx.Response | None:
        """Ask once; None where the answer says nothing of what was asked."""
        if attempt:
            await asyncio.sleep(self.draws.random() * min(attempt, 5) / 2)
        try:
            answer = await self.client.request(method, path, content=content, headers=headers)
        except httpx.TransportError:
            self.did["broken connection"] += 1
            return None
        self.did[f"{answer.status_code}"] += 1
        return None if answer.status_code in _NO_ANSWER else answer

    def _broken(self, method: str, path: str, answer: httpx.Response) -> BrokenPromise:
        return BrokenPromise(
            f"{self.name}: {method} {path}: {answer.status_code} {answer.text[:300]}"
        )

    def _manifest(self, known: Known) -> str:
        return f"/v2/{known.repository}/manifests/{known.digest}"

    def _somewhere(self) -> str:
        return self.draws.choice(self.repositories)

    def _some_live(self) -> Known | None:
        live = self.mine.live()
        return self.draws.choice(live) if live else None

    def _tag(self) -> str:
        return f"{self.name}-{self.draws.randrange(_TAGS)}"

    def _some_tag(self) -> str | None:
        return self._tag() if self.draws.random() < 0.5 else None

    def _next(self) -> int:
        self.number += 1
        return self.number
