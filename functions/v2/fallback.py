"""Everything else under /v2: the specification's error answers, and OPTIONS.

The name sorts last: the host takes the first template that matches, in order of the functions'
names.
"""

import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request, Response

from shared.bootstrap import registry
from shared.wire import response, routes
from shared.wire.operation import operation
from shared.wire.request import credentials

bp = func.Blueprint()


@bp.route(route=routes.FALLBACK, methods=routes.METHODS)
@operation
async def z_fallback(req: Request) -> Response:
    """Say that there is no such path, or no such operation on it, or which there are (OPTIONS)."""
    methods = routes.methods_of(req.path_params.get("path", ""))
    if methods and req.method == "OPTIONS":
        return response.options(methods)
    await (await registry(req)).gate.admit_anyone(credentials(req))

    raise routes.refusal(methods)
