"""Reads: what was pushed comes back, with the headers and the conditions of HTTP."""

from infra.azure.smoke.asking.wire import Answer
from infra.azure.smoke.checking import Room
from infra.azure.smoke.findings import Differs
from infra.azure.smoke.site import Site

room = Room("read")

_SUFFIX = 500


def same(answer: Answer, name: str, wanted: object) -> None:
    """Go on if a header is as it should be; raises Differs."""
    if answer.header(name) != str(wanted):
        told = answer.header(name) or "missing"
        raise Differs(f"{answer.asked}: {name} {told} in place of {wanted}")


def same_bytes(answer: Answer, wanted: bytes) -> None:
    """Go on if the body is as it should be; raises Differs."""
    if answer.body != wanted:
        raise Differs(
            f"{answer.asked}: {answer.status} with {len(answer.body)} bytes that are not the"
            f" {len(wanted)} asked for"
        )


@room.check("manifest", "a manifest comes back by its tag, byte for byte")
async def manifest(site: Site) -> str:
    """Get it by a tag."""
    pushed = site.pushed
    answer = (await site.ask("GET", f"{site.path}/manifests/{pushed.tags[0]}")).expect(200)
    same(answer, "Content-Type", pushed.media_type)
    same(answer, "Docker-Content-Digest", pushed.digest)
    same_bytes(answer, pushed.manifest)
    return f"{answer.status}, {len(answer.body)} bytes"


@room.check("HEAD of a manifest", "a HEAD of a manifest tells its length, digest and type")
async def manifest_head(site: Site) -> str:
    """Ask as docker does before a pull."""
    pushed = site.pushed
    answer = (await site.ask("HEAD", f"{site.path}/manifests/{pushed.tags[1]}")).expect(200)
    same(answer, "Content-Length", len(pushed.manifest))
    same(answer, "Content-Type", pushed.media_type)
    same(answer, "Docker-Content-Digest", pushed.digest)
    return f"{answer.status}, Content-Length: {len(pushed.manifest)}"


@room.check("HEAD of a blob", "a HEAD of a blob tells its length and digest")
async def blob_head(site: Site) -> str:
    """Ask as all clients do before a push."""
    layer = site.pushed.layer
    answer = (await site.ask("HEAD", f"{site.path}/blobs/{layer.digest}")).expect(200)
    same(answer, "Content-Length", layer.size)
    same(answer, "Docker-Content-Digest", layer.digest)
    return f"{answer.status}, Content-Length: {layer.size}"


@room.check("304", "who has it already (If-None-Match) gets 304 and no body")
async def unchanged(site: Site) -> str:
    """Ask for a manifest and for a blob that we have."""
    pushed = site.pushed
    for kind, digest in (("manifests", pushed.digest), ("blobs", pushed.layer.digest)):
        had = {"If-None-Match": f'"{digest}"'}
        answer = (await site.ask("GET", f"{site.path}/{kind}/{digest}", had)).expect(304)
        same_bytes(answer, b"")
    return "304 for a manifest and a blob"


@room.check("end of a blob", "the registry itself gives the last bytes of a blob (bytes=-500)")
async def suffix(site: Site) -> str:
    """Ask for a range that storage would read otherwise, so that it is not redirected."""
    layer = site.pushed.layer
    asked = {"Range": f"bytes=-{_SUFFIX}"}
    answer = (await site.ask("GET", f"{site.path}/blobs/{layer.digest}", asked)).expect(206)
    first = layer.size - _SUFFIX
    same(answer, "Content-Range", f"bytes {first}-{layer.size - 1}/{layer.size}")
    same_bytes(answer, layer.whole[first:])
    return f"{answer.status}, Content-Range: {answer.header('Content-Range')}"


@room.check("tags", "both tags are listed, and page by page, with Link")
async def tags(site: Site) -> str:
    """List them twice: all at once, and one by one."""
    wanted = list(site.pushed.tags)
    path = f"{site.path}/tags/list"
    whole, first = await site.ask("GET", path), await site.ask("GET", f"{path}?n=1")
    if whole.expect(200).json().get("tags") != wanted:
        raise Differs(f"{whole.asked}: {whole.shown} in place of {wanted}")
    link = first.expect(200).header("Link")
    if first.json().get("tags") != wanted[:1] or 'rel="next"' not in link:
        raise Differs(f"{first.asked}?n=1: {first.shown} with Link {link or 'missing'}")
    following = await site.ask("GET", link.partition("<")[2].partition(">")[0])
    if following.expect(200).json().get("tags") != wanted[1:]:
        raise Differs(f"{following.asked}, the next page: {following.shown}")
    return ", ".join(wanted)
