"""Uploads in any order: whatever clients do with the tokens they have ever been given."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from shared.errors import BlobUploadUnknown, DigestInvalid, RangeInvalid, SizeInvalid
from shared.model import upload as uploads_model
from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.model.upload import LISTED_PIECES, Seal
from shared.services.content.staging import Staging
from shared.services.content.uploads import Part, Uploads
from shared.storage import keys
from tests.property.test_paging import stores_over
from tests.support.app import Memory

REPOSITORY = RepositoryName("team/app")
BODIES = st.sampled_from([b"0", b"12", b"345", b"", b"6"])
ALGORITHMS = st.sampled_from(["sha256", "sha512"])
CANCELLED, UNUSED = "cancelled", "unused"


@dataclass(frozen=True, slots=True)
class Token:
    """A session as a client has it: the token, and what it stands for.

    `name` is that of the object to be, drawn with the first bytes; until then of the mark that
    cancels the session.
    """

    text: str
    name: str
    content: bytes = b""
    pieces: frozenset[int] = frozenset()


@dataclass(slots=True)
class Model:
    """What storage should hold: objects by name, blocks by number, blobs by digest."""

    objects: dict[str, str] = field(default_factory=dict)
    staged: set[int] = field(default_factory=set)
    blobs: dict[str, bytes] = field(default_factory=dict)

    def finish(self, token: Token, digest: str) -> bool:
        """Tell whether a session may be finished under the digest of its content."""
        if token.name in self.objects or not token.pieces <= self.staged:
            return digest in self.blobs
        self.make(token, digest)
        self.blobs[digest] = token.content
        return True

    def make(self, token: Token, what: str) -> None:
        """Let an object take the place of a name's blocks."""
        self.objects[token.name] = what
        self.staged = {number for number in self.staged if number not in self.of(token.name)}

    def of(self, name: str) -> set[int]:
        """Give the numbers of a name's blocks."""
        return {number for number in self.staged if NAMES[number] == name}


NAMES: dict[int, str] = {}


class UploadOrder(RuleBasedStateMachine):
    """Clients that start, continue, finish, repeat and cancel, with new tokens or old ones."""

    tokens = Bundle("tokens")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.memory = self.run(Memory().prepare())
        self.stores = stores_over(self.memory)
        staging = Staging(self.memory.objects)
        self.uploads = Uploads(self.stores, staging, Seal(b"key"), timedelta(days=7))
        self.model, self.numbers = Model(), count()

    def run[Result](self, work: Coroutine[object, object, Result]) -> Result:
        return self.runner.run(work)

    def teardown(self) -> None:
        self.runner.close()

    def part(self, content: bytes, start: int | None = None) -> Part:
        async def stream() -> AsyncIterator[bytes]:
            yield content

        end = None if start is None else start + len(content) - 1
        return Part(stream(), start, end, len(content))

    def grown(self, token: Token, content: bytes, name: str = "") -> Token:
        """Give what a token stands for after one more part, which may have drawn a name."""
        if not content:
            return token
        number = next(self.numbers)
        name = token.name if token.pieces else name or f"drawn {number}"
        NAMES[number] = name
        self.model.staged.add(number)
        return Token("", name, token.content + content, token.pieces | {number})

    @rule(target=tokens, algorithm=ALGORITHMS)
    def start(self, algorithm: str) -> Token:
        return self.begun(algorithm)

    def begun(self, algorithm: str) -> Token:
        upload = self.uploads.start(algorithm)
        name = keys.object_name(self.stores.generation, upload.id)
        return Token(self.uploads.token(upload, REPOSITORY, "me"), name)

    @rule(target=tokens, token=tokens, parts=st.lists(BODIES, max_size=4), is_placed=st.booleans())
    def append(self, token: Token, parts: list[bytes], is_placed: bool) -> Token:
        return self.continued(token, parts, is_placed)

    def continued(self, token: Token, parts: list[bytes], is_placed: bool) -> Token:
        for content in parts:
            upload = self.uploads.open(token.text, REPOSITORY, "me")
            assert upload.offset == len(token.content)
            start = upload.offset if is_placed and content else None
            upload = self.run(self.uploads.append(upload, self.part(content, start)))
            name = keys.object_name(self.stores.generation, upload.object)
            text = self.uploads.token(upload, REPOSITORY, "me")
            token = replace(self.grown(token, content, name), text=text)
        return token

    @rule(token=tokens, place=st.integers(0, 9))
    def misplace(self, token: Token, place: int) -> None:
        upload = self.uploads.open(token.text, REPOSITORY, "me")
        if place != upload.offset:
            with suppress(RangeInvalid):
                self.run(self.uploads.append(upload, self.part(b"x", place)))
                raise AssertionError("a misplaced part was taken")

    @rule(token=tokens)
    def cut_short(self, token: Token) -> None:
        upload = self.uploads.open(token.text, REPOSITORY, "me")
        with suppress(SizeInvalid):
            short = self.part(b"x")
            self.run(self.uploads.append(upload, Part(short.body, None, None, 2)))
            raise AssertionError("a part that was cut short was taken")

    @rule(token=tokens, last=BODIES, algorithm=ALGORITHMS)
    def finish(self, token: Token, last: bytes, algorithm: str) -> None:
        self.finished(token, last, algorithm)

    def finished(self, token: Token, last: bytes, algorithm: str) -> None:
        upload = self.uploads.open(token.text, REPOSITORY, "me")
        grown = self.grown(token, last)
        if not grown.pieces:
            grown = replace(grown, name=f"drawn {next(self.numbers)}")
        digest = Digest.of(grown.content, algorithm)
        is_good = self.model.finish(grown, str(digest))
        try:
            self.run(self.uploads.commit(REPOSITORY, upload, digest, self.part(last)))
        except BlobUploadUnknown:
            assert not is_good
        else:
            assert is_good

    @rule(target=tokens, parts=st.lists(BODIES, min_size=1, max_size=6), algorithm=ALGORITHMS)
    def push(self, parts: list[bytes], algorithm: str) -> Token:
        token = self.continued(self.begun("sha256"), parts[:-1], is_placed=True)
        self.finished(token, parts[-1], algorithm)
        return token

    @rule(token=tokens, algorithm=ALGORITHMS)
    def finish_wrongly(self, token: Token, algorithm: str) -> None:
        upload = self.uploads.open(token.text, REPOSITORY, "me")
        digest = Digest.of(b"something else", algorithm)
        with suppress(DigestInvalid, BlobUploadUnknown):
            self.run(self.uploads.commit(REPOSITORY, upload, digest, self.part(b"")))
            raise AssertionError("a wrong digest was taken")
        if algorithm != upload.algorithm and upload.offset:
            self.leave_object(token)

    def leave_object(self, token: Token) -> None:
        """Keep the object whose bytes were read back and did not have the digest."""
        if token.name not in self.model.objects and token.pieces <= self.model.staged:
            self.model.make(token, UNUSED)

    @rule(token=tokens)
    def cancel(self, token: Token) -> None:
        upload = self.uploads.open(token.text, REPOSITORY, "me")
        is_open = token.name not in self.model.objects
        try:
            self.run(self.uploads.cancel(REPOSITORY, upload))
        except BlobUploadUnknown:
            assert not is_open
        else:
            assert is_open
            self.model.make(token, CANCELLED)

    @rule(token=tokens)
    def ask(self, token: Token) -> None:
        upload = self.uploads.open(token.text, REPOSITORY, "me")
        try:
            self.run(self.uploads.status(upload))
        except BlobUploadUnknown:
            assert token.name in self.model.objects
        else:
            assert token.name not in self.model.objects

    @invariant()
    def blobs_are_those_of_the_model_and_have_their_digests(self) -> None:
        shown = {}
        for key in self.memory.keys("blob|"):
            digest = Digest.parse(keys.last_part(key))
            link = self.run(self.stores.contents.link(REPOSITORY, digest))
            assert link
            content = self.run(self.read(link.object))
            assert Digest.of(content, digest.algorithm) == digest
            assert len(content) == link.size
            shown[str(digest)] = content
        assert shown == self.model.blobs

    @invariant()
    def the_objects_are_those_of_the_model(self) -> None:
        """What is not used any more is left to upkeep."""
        assert self.memory.objects._container
        assert len(self.memory.objects._container.objects) == len(self.model.objects)

    async def read(self, name: str) -> bytes:
        return b"".join([piece async for piece in self.memory.objects.read(name)])


def run_with(pieces: int) -> type[RuleBasedStateMachine]:
    """Make the machine anew for tokens that list so many pieces."""

    class Listed(UploadOrder):
        def __init__(self) -> None:
            uploads_model.LISTED_PIECES = pieces
            super().__init__()

        def teardown(self) -> None:
            uploads_model.LISTED_PIECES = LISTED_PIECES
            super().teardown()

    return Listed


QUICK = settings(stateful_step_count=20)

TestListed = run_with(48).TestCase
TestListed.settings = QUICK
TestChained = run_with(1).TestCase
TestChained.settings = QUICK
