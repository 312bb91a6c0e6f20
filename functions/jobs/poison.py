"""Messages that the host has given up."""

import azure.functions as func

from shared.bootstrap import registries

bp = func.Blueprint()


@bp.timer_trigger(arg_name="timer", schedule="0 */5 * * * *")
async def revive_poison(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the worker gives it by name
    """Send again what the host has put aside."""
    await registries().poison.see_to()
