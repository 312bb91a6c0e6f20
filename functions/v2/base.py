"""The root of the API."""

import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request, Response

from shared.bootstrap import registry
from shared.wire import response, routes
from shared.wire.operation import operation
from shared.wire.request import credentials

bp = func.Blueprint()


@bp.route(route=routes.BASE.template, methods=routes.BASE.functions["base_get"])
@operation
async def base_get(req: Request) -> Response:
    """Tell that this is a registry, to a caller with credentials (end-1)."""
    await (await registry(req)).gate.admit_known(credentials(req))

    return response.json({})
