"""Uploads under /v2: start, continue, finish, ask, cancel, mount."""

from collections.abc import Iterator
from contextlib import contextmanager

import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request, Response

from shared.assembly.registry import Registry
from shared.auth.gate import Identity
from shared.auth.scopes import Action
from shared.bootstrap import registry
from shared.errors import NameInvalid, RangeInvalid
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


@bp.route(route=routes.UPLOADS.template, methods=routes.UPLOADS.functions["upload_start"])
@operation
async def upload_start(req: Request) -> Response:
    """Start an upload, mount a blob, or take a whole blob at once (end-4a, b, c and end-11)."""
    call = Call.read(req, routes.UPLOADS)
    here = await registry(req)
    source = _source(call)
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
        with _told_where(_location(here, call, who, upload)):
            await here.uploads.commit(call.repository, upload, digest, read_part(call))
        return response.created(routes.blob_url(call.repository, digest), digest)

    upload = here.uploads.start(digest_algorithm(call))
    answer = _progress(202, here, call, who, upload)
    answer.headers["OCI-Chunk-Min-Length"] = str(CHUNK_BYTES)
    return answer


@bp.route(route=routes.UPLOAD.template, methods=routes.UPLOAD.functions["upload_append"])
@operation
async def upload_append(req: Request) -> Response:
    """Take the next part of a blob (end-5)."""
    call = Call.read(req, routes.UPLOAD)
    here = await registry(req)
    who = await here.gate.admit(call.credentials, call.repository, Action.PUSH)

    upload = here.uploads.open(call.query("_state"), call.repository, who.name)
    with _told_where(_location(here, call, who, upload)):
        upload = await here.uploads.append(upload, read_part(call))

    return _progress(202, here, call, who, upload)


@bp.route(route=routes.UPLOAD.template, methods=routes.UPLOAD.functions["upload_commit"])
@operation
async def upload_commit(req: Request) -> Response:
    """Take the last part of a blob, if there is one, and make it visible (end-6)."""
    call = Call.read(req, routes.UPLOAD)
    here = await registry(req)
    who = await here.gate.admit(call.credentials, call.repository, Action.PUSH)

    upload = here.uploads.open(call.query("_state"), call.repository, who.name)
    digest = Digest.parse(call.query("digest"))
    with _told_where(_location(here, call, who, upload)):
        await here.uploads.commit(call.repository, upload, digest, read_part(call))

    return response.created(routes.blob_url(call.repository, digest), digest)


@bp.route(route=routes.UPLOAD.template, methods=routes.UPLOAD.functions["upload_status"])
@operation
async def upload_status(req: Request) -> Response:
    """Tell how far an upload is (end-13)."""
    call = Call.read(req, routes.UPLOAD)
    here = await registry(req)
    who = await here.gate.admit(call.credentials, call.repository, Action.PUSH)

    upload = here.uploads.open(call.query("_state"), call.repository, who.name)
    await here.uploads.status(upload)

    return _progress(204, here, call, who, upload)


@bp.route(route=routes.UPLOAD.template, methods=routes.UPLOAD.functions["upload_cancel"])
@operation
async def upload_cancel(req: Request) -> Response:
    """Cancel an upload (end-14)."""
    call = Call.read(req, routes.UPLOAD)
    here = await registry(req)
    who = await here.gate.admit(call.credentials, call.repository, Action.PUSH)

    upload = here.uploads.open(call.query("_state"), call.repository, who.name)
    await here.uploads.cancel(call.repository, upload)

    return response.empty(204)


def _source(call: Call) -> RepositoryName | None:
    """Read where to mount from; what is no name of ours names nothing that we have."""
    if not call.query("mount"):
        return None
    try:
        return parse_repository(call.query("from"))
    except NameInvalid:
        return None


async def _mount(
    here: Registry, call: Call, who: Identity, digest: Digest, source: RepositoryName | None
) -> bool:
    """Mount from the repository named, or else from one of a few that the caller may pull from.

    What is named and is no name of ours holds nothing.
    """
    if source:
        may_pull = who.may(source, Action.PULL)
        return may_pull and await here.uploads.mount(call.repository, digest, source)
    if "from" in call.request.query_params:
        return False
    discoverer = await here.gate.discoverer(who)
    return await here.uploads.discover(
        call.repository, digest, lambda one: discoverer.may(one, Action.PULL)
    )


def _progress(status: int, here: Registry, call: Call, who: Identity, upload: Upload) -> Response:
    location = _location(here, call, who, upload)
    return response.upload(status, location, upload.id, upload.offset)


def _location(here: Registry, call: Call, who: Identity, upload: Upload) -> str:
    token = here.uploads.token(upload, call.repository, who.name)
    return routes.upload_url(call.repository, upload.id, token)


@contextmanager
def _told_where(location: str) -> Iterator[None]:
    """Let the answer to a misplaced part say where the upload goes on."""
    try:
        yield
    except RangeInvalid as error:
        error.headers["Location"] = location
        raise
