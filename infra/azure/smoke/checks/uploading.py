"""What several checks do: begin an upload, send a body in some way, end it."""

from collections.abc import AsyncIterator

import httpx

from infra.azure.smoke.asking.bodies import Body
from infra.azure.smoke.asking.wire import Answer
from infra.azure.smoke.findings import Differs
from infra.azure.smoke.site import Site

BYTES = {"Content-Type": "application/octet-stream"}


async def begin(site: Site) -> str:
    """Begin an upload, and give its location; raises Differs."""
    answer = (await site.ask("POST", f"{site.path}/blobs/uploads/")).expect(202)
    return _noted(site, answer)


async def send_chunked(
    site: Site, location: str, body: AsyncIterator[bytes], patience: float | None = None
) -> Answer:
    """Send a body that does not say how long it is, as docker does up to version 28."""
    return await site.ask("PATCH", location, dict(BYTES), body, patience)


async def send_whole(site: Site, location: str, body: Body) -> Answer:
    """End an upload with all of its body, and its length, as docker 29 and containerd do."""
    lengths = {**BYTES, "Content-Length": str(body.size)}
    answer = await site.ask("PUT", finishing(location, body.digest), lengths, body.stream())
    return _ended(site, location, body.digest, answer)


async def finish(site: Site, location: str, digest: str) -> Answer:
    """End an upload under a digest."""
    answer = await site.ask("PUT", finishing(location, digest))
    return _ended(site, location, digest, answer)


def finishing(location: str, digest: str) -> str:
    """Give where an upload is ended."""
    return str(httpx.URL(location).copy_merge_params({"digest": digest}))


def next_location(site: Site, answer: Answer) -> str:
    """Give where an upload goes on; raises Differs."""
    return _noted(site, answer.expect(202))


async def push(site: Site, body: Body) -> None:
    """Push a blob in one request; raises Differs."""
    (await send_whole(site, await begin(site), body)).expect(201)


def _noted(site: Site, answer: Answer) -> str:
    location = answer.header("Location")
    if not location:
        raise Differs(f"{answer.asked}: {answer.status} without Location")
    site.made.begun(location)
    return location


def _ended(site: Site, location: str, digest: str, answer: Answer) -> Answer:
    if answer.status == httpx.codes.CREATED:
        site.made.ended(location)
        site.made.blobs.add(digest)
    return answer
