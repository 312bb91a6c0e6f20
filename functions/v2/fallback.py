"""Everything else under /v2: the specification's error answers.

The name sorts last: the host takes the first template that matches, in order of the functions'
names.
"""

import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request, Response

from shared.bootstrap import registry
from shared.wire import routes
from shared.wire.operation import operation
from shared.wire.request import credentials

bp = func.Blueprint()

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


@bp.route(route=routes.FALLBACK, methods=METHODS)
@operation
async def z_fallback(req: Request) -> Response:
    """Say that there is no such path, or no such operation on it."""
    await (await registry(req)).gate.admit_anyone(credentials(req))

    raise routes.refusal(req.path_params.get("path", ""))
