"""Services over memory, and what may happen to them in the midst of a call."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from shared.model.digest import Digest
from shared.model.manifests.manifest import Manifest, read_manifest
from shared.model.manifests.media_types import OCI_INDEX, OCI_MANIFEST
from shared.model.names import RepositoryName, Tag
from shared.model.progress import ProgressSeal
from shared.model.upload import Seal
from shared.services.attributes.changes import AttributeChanges
from shared.services.content.blobs import Blobs
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.content.repositories import Repositories
from shared.services.content.staging import Staging
from shared.services.content.uploads import Uploads
from shared.services.deletions.repositories import RepositoryDeletions
from shared.services.deletions.restores import Restores
from shared.services.events.fallback_lists import FallbackLists
from shared.services.garbage.leftovers import Leftovers
from shared.services.turns.turns import Turns
from shared.services.upkeep.errands import Upkeep
from shared.services.upkeep.purge import Purge
from shared.services.upkeep.retirement import Retirement
from shared.services.verification.verification import Verification
from shared.storage import keys
from shared.storage.messages.errands import Errand
from shared.storage.origins import BLOB, Origin
from shared.storage.ports import Put
from shared.storage.rows.holdings import Content
from shared.storage.rows.records import Link
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.images import Blob, blob, document
from tests.support.messages import addressed

REPOSITORY = RepositoryName("team/app")
LATEST = Tag("latest")
LIFETIME = timedelta(days=7)
GRACE = timedelta(days=1)
KEPT = timedelta(days=7)
SEAL = ProgressSeal(b"k" * 32)

type Step = Callable[[], Awaitable[object]]
type Before = Callable[..., None]


class Crash(BaseException):
    """The process died here."""


@pytest.fixture
def before(monkeypatch: pytest.MonkeyPatch) -> Before:
    """Let a step happen, once, before the call number `at` of a port's method."""

    def hook(port: object, method: str, step: Step, at: int = 1) -> None:
        original = getattr(port, method)
        calls = 0

        async def hooked(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == at:
                setattr(port, method, original)
                await step()
            return await original(*arguments, **options)

        monkeypatch.setattr(port, method, hooked)

    return hook


@pytest.fixture
def crash(monkeypatch: pytest.MonkeyPatch) -> Callable[[Memory, int], Callable[[], None]]:
    """Let the process die after so many writes; what is given lets it live again."""

    def arm(memory: Memory, writes: int) -> Callable[[], None]:
        left = writes

        def dying(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
            async def call(*arguments: Any) -> Any:
                nonlocal left
                if not left:
                    raise Crash
                left -= 1
                return await original(*arguments)

            return call

        for port, names in (
            (memory.rows, ["commit"]),
            (memory.objects, ["stage", "commit", "put", "delete"]),
            (memory.messages, ["send"]),
        ):
            for name in names:
                monkeypatch.setattr(port, name, dying(getattr(port, name)))
        return monkeypatch.undo

    return arm


@pytest.fixture
def pushes(stores: Stores) -> Pushes:
    return Pushes(stores, is_sparse_allowed=False)


@pytest.fixture
def manifests(stores: Stores) -> Manifests:
    return Manifests(stores, KEPT)


@pytest.fixture
def noted() -> list[str]:
    """What the registry's record was told of read locks."""
    return []


@pytest.fixture
def attributes(stores: Stores, noted: list[str]) -> AttributeChanges:
    async def note() -> None:
        noted.append("read locks")

    return AttributeChanges(stores, note)


@pytest.fixture
def retirement(stores: Stores) -> Retirement:
    return Retirement(stores)


@pytest.fixture
def purge(stores: Stores, manifests: Manifests) -> Purge:
    return Purge(stores, manifests)


@pytest.fixture
def restores(stores: Stores, pushes: Pushes, purge: Purge) -> Restores:
    return Restores(stores, pushes, purge)


@pytest.fixture
def deletions(stores: Stores, restores: Restores) -> RepositoryDeletions:
    return RepositoryDeletions(stores, restores, KEPT)


@pytest.fixture
def upkeep(
    stores: Stores,
    manifests: Manifests,
    restores: Restores,
    deletions: RepositoryDeletions,
    purge: Purge,
) -> Upkeep:
    return Upkeep(stores, manifests, restores, deletions, purge, FallbackLists(stores))


@pytest.fixture
def verification(stores: Stores, manifests: Manifests) -> Verification:
    return verification_of(stores, manifests)


@pytest.fixture
def blobs(stores: Stores) -> Blobs:
    return Blobs(stores, GRACE, 60, Turns(2, 0.01, "downloads"))


@pytest.fixture
def repositories(stores: Stores) -> Repositories:
    return Repositories(stores)


@pytest.fixture
def uploads(stores: Stores, prepared: Memory) -> Uploads:
    return Uploads(stores, Staging(prepared.objects), Seal(b"key"), LIFETIME)


def verification_of(stores: Stores, manifests: Manifests | None = None) -> Verification:
    """Make the verification of a registry."""
    leftovers = Leftovers(stores, LIFETIME)
    return Verification(stores, leftovers, manifests or Manifests(stores), SEAL, GRACE)


async def hold(stores: Stores, *contents: Blob, repository: RepositoryName = REPOSITORY) -> None:
    """Let a repository hold blobs, as if they had been uploaded."""
    now = stores.clock()
    for content in contents:
        name = keys.object_name(stores.generation, stores.new_id())
        digest = Digest.parse(content.digest)
        about = Origin(BLOB, now, stores.new_id(), repository, digest)
        etag = await stores.objects.put(name, content.content, about.metadata())
        own = Content(name, etag, content.size)
        used = await stores.holdings.offer(digest, repository, own)
        link = Link(digest, content.size, used.object, now)
        await stores.contents.commit(repository, [Put(keys.blob(digest), link.values())])


async def run_errands(memory: Memory, upkeep: Upkeep) -> None:
    """Run every errand that has been sent, however long it was to wait."""
    sent, memory.messages.sent[:] = addressed(memory.messages.sent), []
    for queue, body, _ in sent:
        if queue == keys.UPKEEP:
            await upkeep.run(Errand.read(body.encode()))


def parts(count: int, name: str = "part") -> list[Blob]:
    """Make so many small blobs."""
    return [blob(f"{name} {number}".encode()) for number in range(count)]


def image_of(contents: Sequence[Blob], **more: object) -> Manifest:
    """Make an image: the first blob is its config."""
    fields = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": contents[0].descriptor(),
        "layers": [content.descriptor() for content in contents[1:]],
        **more,
    }
    return read_manifest(document(fields, OCI_MANIFEST).content, OCI_MANIFEST)


def index_of(children: Sequence[Manifest], **more: object) -> Manifest:
    """Make an index of manifests."""
    described = [described_as(child) for child in children]
    fields = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": described, **more}
    return read_manifest(document(fields, OCI_INDEX).content, OCI_INDEX)


def described_as(manifest: Manifest) -> dict[str, object]:
    """Describe a manifest."""
    return {
        "mediaType": manifest.media_type,
        "digest": str(manifest.digest),
        "size": len(manifest.body),
    }
