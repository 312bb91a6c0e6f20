"""Tags under /v2: the list of a repository's."""

import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request, Response

from shared.auth.scopes import Action
from shared.bootstrap import registry
from shared.wire import response, routes
from shared.wire.operation import operation
from shared.wire.paging import Wanted
from shared.wire.request import Call

bp = func.Blueprint()


@bp.route(route=routes.TAGS.template, methods=routes.TAGS.functions["tag_list"])
@operation
async def tag_list(req: Request) -> Response:
    """List the tags of a repository in order, a page at a time (end-8)."""
    call = Call.read(req, routes.TAGS)
    here = await registry(req)
    await here.gate.admit(call.credentials, call.repository, Action.PULL)

    wanted = Wanted.read(req)
    page = await here.tags.page(call.repository, wanted.last, wanted.n)

    body = {"name": call.repository, "tags": page.items}
    return response.page(body, wanted.following(routes.tags_url(call.repository), page))
