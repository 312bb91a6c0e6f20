"""Leaving: what was made is deleted, and who reads then does not see it any more."""

import httpx

from infra.azure.smoke.checking import Room
from infra.azure.smoke.findings import Differs, NotChecked, broken
from infra.azure.smoke.site import Site

room = Room("delete")

_DELETED = {202, 204, 404}


@room.check("manifest", "a manifest that is deleted is gone at once, with all its tags")
async def manifest(site: Site) -> str:
    """Delete by digest what two tags name, and list the tags."""
    pushed = site.pushed
    gone = (await site.ask("DELETE", f"{site.path}/manifests/{pushed.digest}")).expect(202)
    site.made.manifests.discard(pushed.digest)
    read = (await site.ask("GET", f"{site.path}/manifests/{pushed.tags[0]}")).expect(404)
    tags = await site.ask("GET", f"{site.path}/tags/list")
    if tags.expect(200, 404).json().get("tags"):
        raise Differs(f"{tags.asked}: {tags.shown} after all was deleted")
    return f"{gone.status}, then {read.status} {read.code}, and no tags"


@room.check("the rest", "blobs are deleted and uploads are given up: nothing is left to be seen")
async def rest(site: Site) -> str:
    """Delete all that was made, and is not yet gone."""
    count = len(_paths(site))
    if failed := await clean(site):
        raise Differs(f"{len(failed)} of {count} are left in {site.repository}: {failed[0]}")
    return f"{count} blobs and uploads are gone from {site.repository}"


async def clean(site: Site) -> list[str]:
    """Delete all that was made; say what could not be, and why."""
    failed = []
    for path in _paths(site):
        try:
            answer = await site.ask("DELETE", path)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            failed.append(f"DELETE {path.partition('?')[0]}: {broken(error)}")
            continue
        except (Differs, NotChecked) as error:
            failed.append(str(error))
            continue
        if answer.status not in _DELETED:
            failed.append(f"{answer.asked}: {answer.status} {answer.shown}")
    made = site.made
    for one in (made.manifests, made.blobs, made.uploads):
        one.clear()
    return failed


def _paths(site: Site) -> list[str]:
    made = site.made
    manifests = [f"{site.path}/manifests/{digest}" for digest in sorted(made.manifests)]
    blobs = [f"{site.path}/blobs/{digest}" for digest in sorted(made.blobs)]
    return [*manifests, *blobs, *made.uploads.values()]
