"""Uploads under /v2: start, continue, finish, ask, cancel, mount."""

import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request, Response

from shared.auth.gate import Identity
from shared.auth.scopes import Action
from shared.bootstrap import Registry, registry
from shared.model.digest import Digest
from shared.model.names import RepositoryName, parse_repository
from shared.model.upload import Upload
from shared.wire import response, routes
from shared.wire.operation import operation
from shared.wire.parts import digest_algorithm, read_part
from shared.wire.request import Call

bp = func.Blueprint()

CHUNK_BYTES = 1024 * 1024
"""What parts should have at the least, so that a large blob fits the blocks of an object."""


@bp.route(route=routes.UPLOADS.template, methods=["POST"])
@operation
async def upload_start(req: Request) -> Response:
    """Start an upload, mount a blob, or take a whole blob at once (end-4a, b, c and end-11)."""
    call = Call.read(req, routes.UPLOADS)
    here = await registry(req)
    source = parse_repository(call.query("from")) if _names_source(call) else None
    if source:
        who = await here.gate.admit_to_mount(call.credentials, call.repository, source)
    else:
        who = await here.gate.admit(call.credentials, call.repository, Action.PUSH)

    if call.query("mount"):
        digest = Digest.parse(call.query("mount"))
        if await _mount(here, call, who, digest, source):
            return response.created(routes.blob_url(call.repository, digest), digest)
    elif call.query("digest"):
        digest = Digest.parse(call.query("digest"))
        upload = here.uploads.start(digest.algorithm)
        await here.uploads.commit(call.repository, upload, digest, read_part(call))
        return response.created(routes.blob_url(call.repository, digest), digest)

    upload = here.uploads.start(digest_algorithm(call))
    answer = _progress(202, here, call, who, upload)
    answer.headers["OCI-Chunk-Min-Length"] = str(CHUNK_BYTES)
    return answer


@bp.route(route=routes.UPLOAD.template, methods=["PATCH"])
@operation
async def upload_append(req: Request) -> Response:
    """Take the next part of a blob (end-5)."""
    call = Call.read(req, routes.UPLOAD)
    here = await registry(req)
    who = await here.gate.admit(call.credentials, call.repository, Action.PUSH)

    upload = here.uploads.open(call.query("_state"), call.repository, who.name)
    upload = await here.uploads.append(upload, read_part(call))

    return _progress(202, here, call, who, upload)


@bp.route(route=routes.UPLOAD.template, methods=["PUT"])
@operation
async def upload_commit(req: Request) -> Response:
    """Take the last part of a blob, if there is one, and make it visible (end-6)."""
    call = Call.read(req, routes.UPLOAD)
    here = await registry(req)
    who = await here.gate.admit(call.credentials, call.repository, Action.PUSH)

    upload = here.uploads.open(call.query("_state"), call.repository, who.name)
    digest = Digest.parse(call.query("digest"))
    await here.uploads.commit(call.repository, upload, digest, read_part(call))

    return response.created(routes.blob_url(call.repository, digest), digest)


@bp.route(route=routes.UPLOAD.template, methods=["GET"])
@operation
async def upload_status(req: Request) -> Response:
    """Tell how far an upload is (end-13)."""
    call = Call.read(req, routes.UPLOAD)
    here = await registry(req)
    who = await here.gate.admit(call.credentials, call.repository, Action.PUSH)

    upload = here.uploads.open(call.query("_state"), call.repository, who.name)
    await here.uploads.status(upload)

    return _progress(204, here, call, who, upload)


@bp.route(route=routes.UPLOAD.template, methods=["DELETE"])
@operation
async def upload_cancel(req: Request) -> Response:
    """Cancel an upload (end-14)."""
    call = Call.read(req, routes.UPLOAD)
    here = await registry(req)
    who = await here.gate.admit(call.credentials, call.repository, Action.PUSH)

    upload = here.uploads.open(call.query("_state"), call.repository, who.name)
    await here.uploads.cancel(call.repository, upload)

    return response.empty(204)


def _names_source(call: Call) -> bool:
    return bool(call.query("mount") and call.query("from"))


async def _mount(
    here: Registry, call: Call, who: Identity, digest: Digest, source: RepositoryName | None
) -> bool:
    """Mount from the repository named, or else from any that the caller may pull from.

    Where none is named it is the caller who counts, not the token: that was asked for another name.
    """
    if source:
        may_pull = who.may(source, Action.PULL)
        return may_pull and await here.uploads.mount(call.repository, digest, source)
    owner = await here.gate.owner(who)
    return await here.uploads.discover(
        call.repository, digest, lambda one: owner.may(one, Action.PULL)
    )


def _progress(status: int, here: Registry, call: Call, who: Identity, upload: Upload) -> Response:
    token = here.uploads.token(upload, call.repository, who.name)
    location = routes.upload_url(call.repository, upload.id, token)
    return response.upload(status, location, upload.id, upload.offset)
