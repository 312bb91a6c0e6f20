"""Blobs under /v2: read, delete."""

import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request, Response

from shared.auth.scopes import Action
from shared.bootstrap import registry
from shared.services.attributes.locks import check_readable
from shared.wire import conditions, response, routes
from shared.wire.operation import operation
from shared.wire.request import Call

bp = func.Blueprint()


@bp.route(route=routes.BLOB.template, methods=routes.BLOB.functions["blob_get"])
@operation
async def blob_get(req: Request) -> Response:
    """Read a blob or a part of it, or tell that it is there (end-2)."""
    call = Call.read(req, routes.BLOB)
    here = await registry(req)
    await here.gate.admit(call.credentials, call.repository, Action.PULL)
    await check_readable(here.stores, call.repository)

    digest = call.digest
    look = here.blobs.find if call.is_head else here.blobs.link
    link = await look(call.repository, digest)
    if conditions.is_unchanged(call, digest):
        return response.unchanged(digest)
    if call.is_head:
        return response.blob(digest, link.size)
    wanted = conditions.asked_part(call, digest, link.size)
    if here.has_redirects and conditions.may_be_redirected(call):
        return response.redirect(await here.blobs.url(link), digest)

    part = range(link.size) if wanted is None else wanted
    body = await here.blobs.read(link, part.start, len(part), call.repository)
    return response.blob_stream(digest, link.size, part, body, is_part=wanted is not None)


@bp.route(route=routes.BLOB.template, methods=routes.BLOB.functions["blob_delete"])
@operation
async def blob_delete(req: Request) -> Response:
    """Take a blob out of a repository (end-10)."""
    call = Call.read(req, routes.BLOB)
    here = await registry(req)
    await here.gate.admit(call.credentials, call.repository, Action.DELETE)

    await here.blobs.delete(call.repository, call.digest)

    return response.deleted(call.digest)
