"""deleted: manifests that were deleted, while they are kept: see them, and bring them back."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from infra.admin.app import Group
from infra.admin.naming import life_of, manifest_of, repository_of
from infra.admin.opening import AdminError, Desk, Misuse
from infra.admin.output import Answer, Listing, progress, said, table
from shared.administration import Administration
from shared.errors import ManifestBlobUnknown
from shared.events import Cause
from shared.model.digest import Digest
from shared.model.names import RepositoryName, Tag
from shared.storage.rows.records import ROTTEN, DeletedRecord

deleted = Group("deleted", "What was deleted and can still come back.")

_BY = Cause("operator")
_LIVES = 100
_NAMES = 1_000
_TAGS = 100
_TOLD = 100
_WHY = {ROTTEN: "its bytes have rotted: push it again"}


@dataclass(frozen=True, slots=True)
class Deleted:
    """A manifest that was deleted, as it is listed; `tags` are those that come back with it."""

    repository: RepositoryName
    digest: Digest
    tags: list[Tag]
    deleted_at: datetime
    by: str
    until: datetime
    why: str
    media_type: str
    size: int
    life: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A manifest that did not come back, and why."""

    digest: Digest
    life: str
    why: str


@deleted.command("list")
async def list_deleted(
    desk: Desk,
    repository: Annotated[str, typer.Argument(help="Only what was in this one.")] = "",
) -> Listing:
    """List what was deleted and is kept, of one repository or of all."""
    name = repository_of(desk, repository) if repository else None
    empty = (
        f"nothing that was deleted of {name} is kept"
        if name
        else "nothing that was deleted is kept; what was deleted just now is listed in seconds"
    )
    shown = ("repository", "digest", "tags", "deleted_at", "by", "until", "why")
    return Listing(Deleted, _all(desk, name), empty, shown)


@deleted.command("restore")
async def restore(
    desk: Desk,
    repository: Annotated[str, typer.Argument(help="Where it was; or REPOSITORY@DIGEST.")],
    digest: Annotated[str, typer.Argument(help="Which manifest.")] = "",
    *,
    life: Annotated[
        str, typer.Option(metavar="ID", help="Which of its lives, unless that deleted last.")
    ] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="All that is kept, what was deleted last first.")
    ] = False,
    as_it_was: Annotated[
        bool, typer.Option("--as-it-was", help="All that went when the repository was deleted.")
    ] = False,
) -> Answer:
    """Bring a manifest back with its tags, as far as they are free; or all of a repository."""
    if not (everything or as_it_was):
        name, wanted = manifest_of(desk, repository, digest)
        return await _restore_one(desk, name, wanted, life_of(life) if life else "")
    if digest or life or "@" in repository or (everything and as_it_was):
        raise Misuse("take one of --all, --as-it-was or a DIGEST (with its --life)")
    return await _restore_all(desk, repository_of(desk, repository), as_it_was=as_it_was)


async def _restore_one(desk: Desk, repository: RepositoryName, digest: Digest, life: str) -> Answer:
    async with desk.opened() as here:
        last = None if life else await here.jobs.restores.last(repository, digest)
        chosen = last.manifest.life if last else life
        if not chosen:
            raise AdminError(f"no {digest} that was deleted from {repository} can come back")
        tags = await _tags(here, repository, digest, chosen)
        try:
            await here.jobs.restores.manifest(repository, digest, chosen, by=_BY)
        except ManifestBlobUnknown as error:
            missing = ", ".join(error.digests[:3])
            raise AdminError(
                f"{digest} cannot come back: {repository} does not hold all of its blobs any"
                f" more ({missing}): push them, and repeat this"
            ) from error
        there = await here.jobs.stores.contents.some_tags(repository, tags)
    back = [tag for tag in tags if tag in there and there[tag].digest == digest]
    return said(
        f"{repository}@{digest} is back" + (f", with {', '.join(back)}" if back else ""),
        repository=repository,
        digest=digest,
        life=chosen,
        tags=back,
    )


async def _restore_all(desk: Desk, repository: RepositoryName, *, as_it_was: bool) -> Answer:
    back, failed, kept = 0, 0, list[Kept]()
    async with desk.opened() as here:
        deletion = await _deletion(here, repository) if as_it_was else ""
        with progress(f"bringing back {repository}") as steps:
            async for one in here.jobs.deletions.returning(repository, deletion, by=_BY):
                steps.advance()
                back, failed = back + (not one.why), failed + bool(one.why)
                if one.why and len(kept) < _TOLD:
                    lacking = f": {', '.join(one.missing[:3])}" if one.missing else ""
                    kept.append(Kept(one.digest, one.life, f"{one.why}{lacking}"))
    if not back + failed:
        raise AdminError(f"nothing that was deleted from {repository} can come back")
    told = f"{back} manifests of {repository} are back, {failed} are not"
    document = {"message": told, "repository": repository, "back": back, "not_back": failed}
    shown: list[str | Table] = [told, *([table(Kept, kept)] if kept else [])]
    return Answer({**document, "why": kept}, shown, is_done=not failed)


async def _deletion(here: Administration, repository: RepositoryName) -> str:
    """Give the id of the last deletion of a repository, also one under way."""
    row = await here.jobs.stores.contents.repository(repository)
    named = (row.values.get("deletion") or row.values.get("deleted")) if row else ""
    if not named:
        raise AdminError(f"{repository} was not deleted as a whole: take --all, or a DIGEST")
    return str(named)


async def _all(desk: Desk, only: RepositoryName | None) -> AsyncIterator[Deleted]:
    async with desk.opened() as here:
        if only:
            async for one in _of(here, only):
                yield one
            return
        after = ""
        while names := await here.jobs.stores.index.kept(after, _NAMES):
            after = names[-1]
            for name in names:
                async for one in _of(here, name):
                    yield one


async def _of(here: Administration, repository: RepositoryName) -> AsyncIterator[Deleted]:
    """Read what is kept of a repository, page by page."""
    after, has_more = "", True
    while has_more:
        page = await here.jobs.restores.page(repository, after, _LIVES)
        after, has_more = page.last, page.has_more
        kept = [one for one in page.items if not one.is_over]
        marks = (_tags(here, repository, one.manifest.digest, one.manifest.life) for one in kept)
        for one, tags in zip(kept, await asyncio.gather(*marks), strict=True):
            yield _listed(repository, one, tags)


async def _tags(
    here: Administration, repository: RepositoryName, digest: Digest, life: str
) -> list[Tag]:
    marks = await here.jobs.stores.contents.tags_of(repository, digest, _TAGS, life)
    return [mark.name for mark in marks]


def _listed(repository: RepositoryName, one: DeletedRecord, tags: list[Tag]) -> Deleted:
    record = one.manifest
    return Deleted(
        repository=repository,
        digest=record.digest,
        tags=tags,
        deleted_at=one.at,
        by=one.by,
        until=one.until,
        why="went with its repository" if one.deletion else _WHY.get(one.reason, ""),
        media_type=record.media_type,
        size=record.size,
        life=record.life,
    )
