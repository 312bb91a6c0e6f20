"""Pushes: every way in which clients bring a blob, and an image under two tags."""

import asyncio
import hashlib

import orjson

from infra.azure.smoke.asking.bodies import KIB, Body, digest_of
from infra.azure.smoke.checking import Room
from infra.azure.smoke.checks.uploading import (
    BYTES,
    begin,
    finish,
    finishing,
    next_location,
    push,
    send_chunked,
)
from infra.azure.smoke.findings import Differs
from infra.azure.smoke.site import Image, Site

room = Room("push")

_SMALL = 64 * KIB
_PIECES = 3
_CONTINUE_SECONDS = 5
_TAGS = ("one", "two")
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


@room.check("image", "two blobs and a manifest under two tags are taken, with 201 and the digest")
async def image(site: Site) -> str:
    """Push what the reading checks read."""
    config, layer = Body(KIB), Body(_SMALL)
    for body in (config, layer):
        await push(site, body)
    manifest = _manifest(config, layer)
    digest = digest_of(manifest)
    for tag in _TAGS:
        put = f"{site.path}/manifests/{tag}"
        answer = (await site.ask("PUT", put, {"Content-Type": _MANIFEST}, manifest)).expect(201)
        site.made.manifests.add(digest)
        if answer.header("Docker-Content-Digest") != digest:
            told = answer.header("Docker-Content-Digest") or "missing"
            raise Differs(f"{answer.asked}: Docker-Content-Digest {told} in place of {digest}")
    site.image = Image(manifest, digest, _MANIFEST, config, layer, _TAGS)
    return digest


def _manifest(config: Body, layer: Body) -> bytes:
    return orjson.dumps(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _described(config, _CONFIG),
            "layers": [_described(layer, _LAYER)],
        }
    )


def _described(body: Body, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "digest": body.digest, "size": body.size}


@room.check("one POST", "a blob may come whole with the POST that begins its upload")
async def one_post(site: Site) -> str:
    """Push in a single request."""
    body = Body(_SMALL)
    path = f"{site.path}/blobs/uploads/?digest={body.digest}"
    answer = (await site.ask("POST", path, dict(BYTES), body.whole)).expect(201)
    site.made.blobs.add(body.digest)
    return str(answer.status)


@room.check("stream", "a blob may come in one PATCH that says no length, and be ended by a PUT")
async def stream(site: Site) -> str:
    """Push as docker does up to version 28."""
    body = Body(_SMALL)
    answer = await send_chunked(site, await begin(site), body.stream())
    ended = await finish(site, next_location(site, answer), body.digest)
    return f"{answer.status}, {ended.expect(201).status}"


@room.check("pieces", "a blob may come in pieces, each told by Content-Range, and be asked about")
async def pieces(site: Site) -> str:
    """Push as regctl does, and ask how far it is after each piece."""
    body = Body(_PIECES * _SMALL)
    location = await begin(site)
    for start in range(0, body.size, _SMALL):
        end = start + _SMALL
        told = {**BYTES, "Content-Range": f"{start}-{end - 1}"}
        answer = await site.ask("PATCH", location, told, body.whole[start:end])
        location = next_location(site, answer)
        asked = (await site.ask("GET", location)).expect(204)
        if asked.header("Range") != f"0-{end - 1}":
            raise Differs(f"{asked.asked}: Range {asked.header('Range')} after {end} bytes")
    return f"{_PIECES} pieces, {(await finish(site, location, body.digest)).expect(201).status}"


@room.check("wrong digest", "bytes that do not hash to the digest are refused, and never shown")
async def wrong_digest(site: Site) -> str:
    """Push under the digest of something else."""
    body, other = Body(_SMALL), f"sha256:{hashlib.sha256(b'something else').hexdigest()}"
    answer = await send_chunked(site, await begin(site), body.stream())
    ended = await finish(site, next_location(site, answer), other)
    ended.expect(400, code="DIGEST_INVALID")
    shown = (await site.ask("HEAD", f"{site.path}/blobs/{other}")).expect(404)
    return f"{ended.status} {ended.code}, then {shown.status}"


@room.check("100-continue", "a client that waits for 100 Continue before its body is served")
async def expects_100(site: Site) -> str:
    """Send the body only once it is asked for, or after some seconds, as curl does."""
    body, location = Body(_SMALL), await begin(site)
    lines = (
        f"PUT {finishing(location, body.digest)} HTTP/1.1",
        f"Authorization: {await site.authorization()}",
        f"Content-Length: {body.size}",
        "Expect: 100-continue",
    )
    async with site.wire.raw(*(line.encode() for line in lines)) as (reader, writer):
        first = await _status(reader, _CONTINUE_SECONDS)
        if first not in {b"", b"100"}:
            raise Differs(f"{first.decode()} in place of 100, before the body")
        writer.write(body.whole)
        last = await _status(reader, site.wire.patience)
        if last == b"100":
            last = await _status(reader, site.wire.patience)
    if last != b"201":
        raise Differs(f"{last.decode() or 'no answer'} in place of 201, after the body")
    site.made.ended(location)
    site.made.blobs.add(body.digest)
    return f"{'100, then ' if first else 'no 100, but '}201"


async def _status(reader: asyncio.StreamReader, patience: float) -> bytes:
    """Read on to the next answer's status; nothing where none comes."""
    try:
        async with asyncio.timeout(patience):
            while line := await reader.readline():
                if line.startswith(b"HTTP/1.1 "):
                    return line.split()[1]
    except (TimeoutError, ConnectionError):
        pass
    return b""
