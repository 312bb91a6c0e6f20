"""Referrers under /v2: the list of a subject's."""

import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request, Response

from shared.auth.scopes import Action
from shared.bootstrap import registry
from shared.model.manifests.media_types import OCI_INDEX
from shared.wire import response, routes
from shared.wire.operation import operation
from shared.wire.paging import Wanted, artifact_type
from shared.wire.request import Call

bp = func.Blueprint()

MOST = 100
"""Referrers on the longest page: each may bring a large descriptor."""


@bp.route(route=routes.REFERRERS.template, methods=routes.REFERRERS.functions["referrer_list"])
@operation
async def referrer_list(req: Request) -> Response:
    """List the manifests that name a subject, as an index, a page at a time (end-12)."""
    call = Call.read(req, routes.REFERRERS)
    here = await registry(req)
    await here.gate.admit(call.credentials, call.repository, Action.PULL)

    wanted, kind = Wanted.read(req, MOST), artifact_type(req)
    page = await here.referrers.page(
        call.repository, call.digest, artifact_type=kind, after=wanted.last, limit=wanted.n
    )

    path = routes.referrers_url(call.repository, call.digest)
    following = wanted.following(path, page, {"artifactType": kind} if kind else {})
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": page.items}
    applied = {"OCI-Filters-Applied": "artifactType"} if kind else {}
    return response.page(index, following, {"Content-Type": OCI_INDEX, **applied})
