"""Redirects: a blob's bytes come from storage, to whoever has the address and no login."""

from infra.azure.smoke.checking import Room
from infra.azure.smoke.checks.reads import same, same_bytes
from infra.azure.smoke.findings import NotChecked
from infra.azure.smoke.site import Site

room = Room("blob")

_FIRST, _LAST = 1_000, 2_999
_CLOSED = {401, 403}
_RANGE = {"Range": f"bytes={_FIRST}-{_LAST}"}


@room.check("redirect", "a blob's GET is 307, and its bytes are behind that without a login")
async def without_login(site: Site) -> str:
    """Follow it as a client that sends its password nowhere else."""
    layer = site.pushed.layer
    first = (await site.ask("GET", _path(site))).expect(307, 200)
    if not first.header("Location"):
        same_bytes(first, layer.whole)
        raise NotChecked(
            "the registry sends the bytes itself: REGISTRY_BLOB_REDIRECTS is false there"
        )
    answer = (await site.wire.ask("GET", first.header("Location"))).expect(200)
    same_bytes(answer, layer.whole)
    return f"{first.status}, then {answer.status} with {len(answer.body)} bytes"


@room.check("range", "a range of a blob is given, by the registry or where it redirects to")
async def range_asked(site: Site) -> str:
    """Ask for some bytes of the middle as containerd does, which sends the range on."""
    layer = site.pushed.layer
    answer = await site.ask("GET", _path(site), dict(_RANGE))
    if location := answer.header("Location"):
        answer = await site.wire.ask("GET", location, _RANGE)
        if answer.status in _CLOSED:
            raise NotChecked("what is behind the redirect is closed (blob redirect tells how)")
    answer.expect(206)
    same(answer, "Content-Range", f"bytes {_FIRST}-{_LAST}/{layer.size}")
    same_bytes(answer, layer.whole[_FIRST : _LAST + 1])
    return f"{answer.status}, Content-Range: {answer.header('Content-Range')}"


def _path(site: Site) -> str:
    return f"{site.path}/blobs/{site.pushed.layer.digest}"
