"""Tokens for clients: the two ways docker asks for one."""

import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request, Response

from shared.bootstrap import registry
from shared.wire import login, response, routes
from shared.wire.operation import operation
from shared.wire.request import host

bp = func.Blueprint()


@bp.route(route=routes.TOKEN.template, methods=routes.TOKEN.functions["token_issue"])
@operation
async def token_issue(req: Request) -> Response:
    """Issue an access token for what the caller may do of what they ask (ACR 2.4, 2.5)."""
    here = await registry(req)
    asked = await login.read(req)

    issued = await here.issuer.issue(asked, host(req))

    return response.token(issued)


@bp.route(route=routes.TOKEN.template, methods=routes.TOKEN.others)
@operation
async def z_token_fallback(req: Request) -> Response:
    """Say that tokens are asked for otherwise, or how (OPTIONS); it needs no login, as they do."""
    if req.method == "OPTIONS":
        return response.options(routes.TOKEN.methods)

    raise routes.refusal(routes.TOKEN.methods)
