"""Messages that have slept long enough."""

import azure.functions as func

from shared.bootstrap import registries

bp = func.Blueprint()


@bp.timer_trigger(arg_name="timer", schedule="0 */5 * * * *")
async def wake_sleepers(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the worker gives it by name
    """Hand on the messages of the queue `later` whose time has come."""
    await registries().sleepers.wake()
