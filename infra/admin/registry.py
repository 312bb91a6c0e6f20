"""registry: what concerns a registry as a whole."""

from infra.admin.app import Group
from infra.admin.opening import AdminError, Desk
from infra.admin.output import Answer, said

registry = Group("registry", "A registry as a whole.")


@registry.command("resume")
async def resume(desk: Desk) -> Answer:
    """Remove again what is not used, which stopped as tables were lost: they are complete."""
    async with desk.opened() as here:
        if not await here.halt.resume():
            raise AdminError("nothing was halted in this storage")
    return said("what is not used is removed again, in all registries of this storage")
