"""The catalog under /v2."""

import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request, Response

from shared.bootstrap import registry
from shared.wire import response, routes
from shared.wire.operation import operation
from shared.wire.paging import Wanted
from shared.wire.request import credentials

bp = func.Blueprint()


@bp.route(route=routes.CATALOG.template, methods=routes.CATALOG.functions["catalog_list"])
@operation
async def catalog_list(req: Request) -> Response:
    """List the names of the repositories in order, a page at a time (ACR 1.3)."""
    here = await registry(req)
    await here.gate.admit_to_catalog(credentials(req))

    wanted = Wanted.read(req)
    page = await here.repositories.page(wanted.last, wanted.n)

    return response.page({"repositories": page.items}, wanted.following("/v2/_catalog", page))
