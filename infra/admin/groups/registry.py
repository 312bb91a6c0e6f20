"""registry: what concerns a registry as a whole."""

from infra.admin.app import Group
from infra.admin.opening import AdminError, Desk
from infra.admin.output import Answer, said
from shared.administration import recovery
from shared.storage import ages

registry = Group("registry", "A registry as a whole.")


@registry.command("halt")
async def halt(desk: Desk) -> Answer:
    """Remove nothing, before tables are touched: until they are rebuilt, or resume."""
    async with recovery(desk.settings) as here:
        if not await here.halt():
            raise AdminError("removal is halted in this storage already")
    seconds = 2 * ages.L.total_seconds()
    return said(
        "nothing is removed any more, in all registries of this storage; what was begun is over in"
        f" {seconds:.0f} seconds: touch the tables after that"
    )


@registry.command("resume")
async def resume(desk: Desk) -> Answer:
    """Remove again what is not used, which stopped as tables were lost: they are complete."""
    async with desk.opened() as here:
        if not await here.halt.resume():
            raise AdminError("nothing was halted in this storage")
    return said("what is not used is removed again, in all registries of this storage")
