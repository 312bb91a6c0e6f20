"""Actors: clients that push, pull, retag, copy, delete and undelete, and notice what is broken.

What an actor does next is drawn from its own row of draws and what it has been told, so a seed
brings its decisions back where the answers are the same.
"""

import json
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from tests.soak.asking import Asker, BrokenPromise, NoAnswerError
from tests.soak.model import Content, Known, Mine, State, image, index, own
from tests.soak.operators import Operator, Undeleted
from tests.soak.pushing import Pusher, Put

_TAGS = 6
_MANY = 25
_LATELY = 8
_OK, _ACCEPTED, _UNKNOWN, _REFUSED = 200, 202, 404, 405


@dataclass
class Actor:
    """One client, with manifests and tags of its own, in repositories that it shares.

    What it deletes can come back for `kept` seconds at the least.
    """

    asker: Asker
    pusher: Pusher
    operator: Operator
    repositories: Sequence[str]
    pool: Sequence[Content]
    draws: random.Random
    kept: float
    mine: Mine = field(default_factory=Mine)
    story: list[str] = field(default_factory=list)
    number: int = 0

    @property
    def name(self) -> str:
        """Say who it is."""
        return self.asker.name

    async def act(self, times: int) -> None:
        """Do so many things, one after the other."""
        for _ in range(times):
            deeds = self._deeds()
            deed = self.draws.choices([*deeds], [*deeds.values()])[0]
            self.story.append(f"{deed.__name__} {len(self.mine.live())}")
            try:
                await deed()
            except NoAnswerError:
                self.asker.did["no answer"] += 1
            self.asker.did[deed.__name__] += 1

    def _deeds(self) -> dict[Callable[[], Awaitable[None]], int]:
        has_many = len(self.mine.live()) > _MANY
        return {
            self.push: 8,
            self.push_index: 2,
            self.push_referrer: 2,
            self.push_again: 2,
            self.copy: 2,
            self.upload: 1,
            self.retag: 3,
            self.pull: 7,
            self.pull_by_tag: 12,
            self.delete: 14 if has_many else 5,
            self.undelete: 2,
            self.delete_used_blob: 1,
            self.untag: 2,
            self.list_tags: 2,
        }

    async def push(self) -> None:
        """Push a new image, half of them with a tag."""
        await self._push_new(self._somewhere(), None)

    async def push_referrer(self) -> None:
        """Push what refers to an image."""
        if subject := self._some_live(lambda known: known.subject is None):
            await self._push_new(subject.repository, subject)

    async def push_index(self) -> None:
        """Push an index of two images that are there."""
        live = self.mine.live(repository := self._somewhere())
        children = self.draws.sample(live, min(2, len(live)))
        children = [child for child in children if not child.children and not child.subject]
        manifest = index(self.name, self._next(), children)
        await self._push(Known(repository, manifest, children=children), self._some_tag())

    async def push_again(self) -> None:
        """Push what was deleted."""
        if known := self._some_gone():
            await self._push(known, self._some_tag())

    async def copy(self) -> None:
        """Copy an image to another repository: its blobs are mounted, none is uploaded."""
        known = self._some_live(lambda known: bool(known.blobs) and known.subject is None)
        others = [it for it in self.repositories if known and it != known.repository]
        if known is None or not others:
            return
        there = self.draws.choice(others)
        for blob in known.blobs:
            if await self.pusher.mount(there, blob, known.repository):
                raise BrokenPromise(f"{blob.digest} of {known.place} cannot be mounted in {there}")
        if all(it.place != (there, known.digest) for it in self.mine.manifests):
            await self._push(Known(there, known.manifest, known.blobs), self._some_tag())

    async def upload(self) -> None:
        """Upload a blob for nothing, half of them deleted at once."""
        blob, repository = own(self.name, self._next()), self._somewhere()
        await self.pusher.bring(repository, blob)
        if self.draws.random() < 0.5:
            path = f"/v2/{repository}/blobs/{blob.digest}"
            await self.asker.expect({_ACCEPTED, _UNKNOWN}, "DELETE", path)
            await self.asker.expect({_UNKNOWN}, "HEAD", path)

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
        if places := [*self.mine.certain_tags()]:
            await self.check_tag(*self.draws.choice(places))

    async def delete(self) -> None:
        """Delete a manifest that no index of ours needs."""
        if known := self._some_live(lambda known: not self.mine.is_used(known)):
            await self.remove(known)

    async def remove(self, known: Known) -> None:
        """Delete a manifest, whether it is there or not."""
        await self.pusher.let_late_ones_end()
        certain = self.mine.certain_tags()
        tags = frozenset(tag for (_, tag), target in certain.items() if target is known)
        was_live, known.deleted_at = known.state is State.LIVE, time.monotonic()
        self.mine.uncertain(known)
        path = f"/v2/{known.repository}/manifests/{known.digest}"
        answer = await self.asker.expect({_ACCEPTED, _UNKNOWN}, "DELETE", path)
        if was_live and answer.status == _UNKNOWN and not answer.attempt:
            raise self.asker.broken("DELETE", path, answer)
        self.mine.deleted(known, tags, is_ours=was_live or answer.status == _ACCEPTED)

    async def undelete(self) -> None:
        """Have an operator bring back what was deleted."""
        known = self._some_gone()
        if known is None:
            return
        outcome = await self.operator.undelete(known)
        self.asker.did[f"undelete: {outcome.value}"] += 1
        if outcome is Undeleted.NO_ANSWER:
            self.mine.restored(known, is_exact=False)
            known.state = State.UNKNOWN
            raise NoAnswerError(f"undelete {known.place}")
        if outcome is not Undeleted.NOT_KEPT:
            self.mine.restored(known, is_exact=outcome is Undeleted.BACK)
        elif time.monotonic() < known.deleted_at + self.kept:
            raise BrokenPromise(f"{known.place} is not kept as long as was said")

    async def delete_used_blob(self) -> None:
        """Try to delete a blob that a manifest uses: that is refused."""
        if known := self._some_live(lambda known: bool(known.blobs)):
            path = f"/v2/{known.repository}/blobs/{self.draws.choice(known.blobs).digest}"
            await self.asker.expect({_REFUSED}, "DELETE", path)

    async def untag(self) -> None:
        """Delete a tag."""
        if places := [it for it, target in self.mine.certain_tags().items() if target]:
            await self.remove_tag(*self.draws.choice(places))

    async def remove_tag(self, repository: str, tag: str) -> None:
        """Delete a tag, whether it is there or not."""
        await self.pusher.let_late_ones_end()
        self.mine.unknown_tags.add((repository, tag))
        path = f"/v2/{repository}/manifests/{tag}"
        await self.asker.expect({_ACCEPTED, _UNKNOWN}, "DELETE", path)
        self.mine.pointed(repository, tag, None)

    async def list_tags(self) -> None:
        """List the tags of a repository: ours are there."""
        repository = self._somewhere()
        path = f"/v2/{repository}/tags/list?n=1000"
        answer = await self.asker.expect({_OK, _UNKNOWN}, "GET", path)
        found = set(json.loads(answer.content)["tags"] or []) if answer.status == _OK else set()
        for (place, tag), target in self.mine.certain_tags().items():
            if place == repository and (tag in found) != (target is not None):
                raise BrokenPromise(f"{repository}: tag {tag} listed: {tag in found}")

    async def check(self, known: Known) -> None:
        """See that a manifest is there, with all that it needs."""
        path = f"/v2/{known.repository}/manifests/{known.digest}"
        found = await self.asker.expect({_OK}, "GET", path)
        if found.content != known.manifest.content:
            raise BrokenPromise(f"{known.digest} has other bytes")
        for blob in known.blobs:
            got = await self.asker.expect(
                {_OK}, "GET", f"/v2/{known.repository}/blobs/{blob.digest}"
            )
            if got.content != blob.content:
                raise BrokenPromise(f"{blob.digest} has other bytes in {known.repository}")

    async def check_tag(self, repository: str, tag: str) -> None:
        """See that a tag points to where we pointed it."""
        known = self.mine.tags[repository, tag]
        status = _OK if known else _UNKNOWN
        found = await self.asker.expect({status}, "GET", f"/v2/{repository}/manifests/{tag}")
        if known and found.content != known.manifest.content:
            raise BrokenPromise(f"{repository}:{tag} points elsewhere")

    async def check_gone(self, known: Known) -> None:
        """See that what was deleted is not there."""
        path = f"/v2/{known.repository}/manifests/{known.digest}"
        answer = await self.asker.expect({_OK, _UNKNOWN}, "GET", path)
        if answer.status == _OK:
            subject = known.subject and f"{known.subject.state}, {known.subject.digest}"
            raise BrokenPromise(f"{known.place} is there: {known.state}; its subject: {subject}")

    async def _push_new(self, repository: str, subject: Known | None) -> None:
        """Push an image, half of them with a config of its own, as images have."""
        blobs = self.draws.sample(self.pool, self.draws.randint(1, 3))
        number = self._next()
        if self.draws.random() < 0.5:
            blobs = [own(self.name, number), *blobs]
        manifest = image(self.name, number, blobs, subject)
        await self._push(Known(repository, manifest, blobs, subject=subject), self._some_tag())

    async def _push(self, known: Known, tag: str | None) -> None:
        self._expect_push(known, tag)
        put = await self.pusher.push(known, tag or known.digest)
        self.mine.pushed(known, tag, is_certain=put is Put.CREATED)

    async def _put(self, known: Known, tag: str) -> None:
        """Put a manifest whose blobs are there: it uses them."""
        self._expect_push(known, tag)
        put = await self.pusher.put(known, tag)
        self.mine.pushed(known, tag, is_certain=put is Put.CREATED)

    def _expect_push(self, known: Known, tag: str | None) -> None:
        """Note that from now on a manifest may be there, and its tag point to it."""
        if known not in self.mine.manifests:
            self.mine.manifests.append(known)
        if known.state is not State.LIVE:
            known.state = State.UNKNOWN
        if tag:
            self.mine.unknown_tags.add((known.repository, tag))
            self.mine.tags.setdefault((known.repository, tag), None)

    def _somewhere(self) -> str:
        return self.draws.choice(self.repositories)

    def _some_live(self, is_meant: Callable[[Known], bool] = lambda _: True) -> Known | None:
        live = [known for known in self.mine.live() if is_meant(known)]
        return self.draws.choice(live) if live else None

    def _some_gone(self) -> Known | None:
        """Choose what is gone, of late as a rule, and can be there again whole."""
        gone = [known for known in self.mine.gone()[-_LATELY:] if known.has_all]
        return self.draws.choice(gone) if gone else None

    def _tag(self) -> str:
        return f"{self.name}-{self.draws.randrange(_TAGS)}"

    def _some_tag(self) -> str | None:
        return self._tag() if self.draws.random() < 0.5 else None

    def _next(self) -> int:
        self.number += 1
        return self.number
