"""Manifests under /v2: read, push, delete."""

from contextlib import nullcontext

import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request, Response

from shared.auth.scopes import Action
from shared.bootstrap import registry
from shared.model.digest import Digest
from shared.model.manifests.manifest import MANIFEST_BYTES
from shared.services.turns.reading import understood
from shared.wire import conditions, response, routes
from shared.wire.operation import operation
from shared.wire.request import Call, content_length

bp = func.Blueprint()

LARGE_BYTES = 256 * 1024


@bp.route(route=routes.MANIFEST.template, methods=routes.MANIFEST.functions["manifest_get"])
@operation
async def manifest_get(req: Request) -> Response:
    """Read a manifest by tag or digest, or tell that it is there (end-3)."""
    call = Call.read(req, routes.MANIFEST)
    here = await registry(req)
    await here.gate.admit(call.credentials, call.repository, Action.PULL)

    if call.is_head:
        found, body = await here.manifests.find(call.repository, call.reference), b""
    else:
        found, body = await here.manifests.read(call.repository, call.reference)

    if conditions.is_unchanged(call, found.digest):
        return response.unchanged(found.digest)
    return response.content(found.digest, found.media_type, found.size, body)


@bp.route(route=routes.MANIFEST.template, methods=routes.MANIFEST.functions["manifest_put"])
@operation
async def manifest_put(req: Request) -> Response:
    """Store a manifest under a tag or a digest (end-7)."""
    call = Call.read(req, routes.MANIFEST)
    here = await registry(req)
    who = await here.gate.admit(call.credentials, call.repository, Action.PUSH)

    tags, digest = conditions.pushed_tags(call)
    algorithm = digest.algorithm if digest else "sha256"
    by = call.cause(who.name, here.login_server)
    turn = here.large_manifests.one(call.repository) if _is_large(call) else nullcontext()
    async with turn:
        body = await call.body(MANIFEST_BYTES)
        manifest = await understood(body, call.media_type, algorithm)
        conditions.check_digest(manifest.digest, digest)
        pushed = await here.pushes.put(
            call.repository, manifest, tags, by=by, condition=conditions.of_push(call)
        )

    return response.created(
        location=routes.manifest_url(call.repository, pushed.digest),
        digest=pushed.digest,
        subject=pushed.subject,
        tags=pushed.tags if digest else (),
    )


def _is_large(call: Call) -> bool:
    """Tell whether a manifest may take so much memory that few of them are taken at once."""
    length = content_length(call.request)
    return length is None or length > LARGE_BYTES


@bp.route(route=routes.MANIFEST.template, methods=routes.MANIFEST.functions["manifest_delete"])
@operation
async def manifest_delete(req: Request) -> Response:
    """Delete a manifest with all its tags, or a tag alone (end-9)."""
    call = Call.read(req, routes.MANIFEST)
    here = await registry(req)
    who = await here.gate.admit(call.credentials, call.repository, Action.DELETE)

    reference, by = call.reference, call.cause(who.name, here.login_server)
    if isinstance(reference, Digest):
        await here.manifests.delete(call.repository, reference, by=by)
    else:
        await here.manifests.untag(call.repository, reference, by=by)

    return response.empty(202)
