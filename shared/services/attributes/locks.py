"""Locks: what the attributes of a repository, a manifest or a tag forbid (ACR 1.7).

    a push to a tag that is there    the tag's own write lock
    deleting a tag                   its write or delete lock
    deleting a manifest              its write or delete lock, or one of a tag of it
    deleting a repository            its write or delete lock, or one of what is in it
    reading                          the repository's, the manifest's, the tag's read lock

A repository's write lock forbids all changes, and nobody looks for it: it takes the row `writable`,
which all of them change. Read locks cost those who read a look at `repository`, and where they have
the body already at the manifest: they look only in a registry whose flags say that there are any.
"""

from collections.abc import Iterable

from shared.errors import RegistryDisallowedOperation
from shared.model.attributes import Attributes
from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.storage.rows.records import ManifestRecord, TagRecord
from shared.storage.rows.registries import READ_LOCKS
from shared.storage.stores import Stores

_SOME = 1_000


def locked(what: str) -> RegistryDisallowedOperation:
    """Say that a lock forbids what was asked."""
    return RegistryDisallowedOperation(f"{what} is locked: unlock it first")


def fixed(what: str) -> RegistryDisallowedOperation:
    """Say that tags are written once."""
    return RegistryDisallowedOperation(f"{what}: this registry's tags are write-once; take another")


async def is_readable(stores: Stores, repository: RepositoryName) -> bool:
    """Tell whether what a repository holds may be read."""
    if READ_LOCKS not in stores.flags:
        return True
    row = await stores.contents.repository(repository)
    return row is None or Attributes.read(row.values).read_enabled


async def check_readable(stores: Stores, repository: RepositoryName) -> None:
    """Raise where a repository may not be read."""
    if not await is_readable(stores, repository):
        raise _unreadable(repository)


def check_found(repository: RepositoryName, found: TagRecord | ManifestRecord) -> None:
    """Raise where a tag or a manifest may not be read."""
    if not found.attributes.read_enabled:
        name = f"tag {found.name}" if isinstance(found, TagRecord) else f"manifest {found.digest}"
        raise _unreadable(f"{name} of {repository}")


def _unreadable(what: str) -> RegistryDisallowedOperation:
    return RegistryDisallowedOperation(
        f"{what} is locked against reading: unlock it first", allow=["DELETE"]
    )


def check_tags(repository: RepositoryName, tags: Iterable[TagRecord]) -> None:
    """Raise where one of these tags may not be deleted."""
    for tag in tags:
        if not tag.attributes.allow_deletion:
            raise locked(f"tag {tag.name} of {repository}")


async def check_all_tags(
    stores: Stores, repository: RepositoryName, digest: Digest | None = None
) -> None:
    """Raise where a tag may not be deleted, of one manifest or of all."""
    after = ""
    while True:
        if digest:
            page = await stores.contents.tags_of(repository, digest, _SOME, after=after)
        else:
            page = await stores.contents.tags(repository, after, _SOME)
        check_tags(repository, page)
        if len(page) < _SOME:
            return
        after = page[-1].name


async def check_manifests(stores: Stores, repository: RepositoryName) -> None:
    """Raise where a manifest may not be deleted."""
    after = ""
    while page := await stores.contents.manifests(repository, after, _SOME):
        for record in page:
            if not record.attributes.allow_deletion:
                raise locked(f"manifest {record.digest} of {repository}")
        after = str(page[-1].digest)
