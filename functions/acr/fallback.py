"""Everything under /acr: not there yet.

Azure's clients take the host's empty 404 for a deletion that has succeeded, so there is an answer.
"""

import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request, Response

from shared.bootstrap import registry
from shared.errors import NotYetSupported
from shared.wire import routes
from shared.wire.operation import operation
from shared.wire.request import credentials

bp = func.Blueprint()


@bp.route(route=routes.ACR_FALLBACK, methods=routes.METHODS)
@operation
async def z_acr_fallback(req: Request) -> Response:
    """Say that the registry does not support this yet."""
    await (await registry(req)).gate.admit_anyone(credentials(req))

    raise NotYetSupported
