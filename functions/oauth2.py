"""Tokens for clients: the two ways docker asks for one."""

import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request, Response

from shared.bootstrap import registry
from shared.wire import login, response, routes
from shared.wire.operation import operation
from shared.wire.request import host

bp = func.Blueprint()


@bp.route(route=routes.TOKEN, methods=["GET", "POST"])
@operation
async def token_issue(req: Request) -> Response:
    """Issue an access token for what the caller may do of what they ask (ACR 2.4, 2.5)."""
    here = await registry(req)
    asked = await login.read(req)

    issued = await here.issuer.issue(asked, host(req))

    return response.json(issued)
