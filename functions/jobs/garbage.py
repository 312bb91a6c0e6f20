"""Garbage: blobs that nothing uses any more, and what crashes have left."""

import azure.functions as func

from functions.jobs.messages import run
from shared.bootstrap import registries
from shared.storage import keys
from shared.storage.messages.collecting import Suspects

bp = func.Blueprint()


@bp.queue_trigger(arg_name="message", queue_name="garbage", connection="AzureWebJobsStorage")
async def collect_garbage(message: func.QueueMessage) -> None:
    """Collect the blobs that a message names, as far as nothing uses them."""
    await run(keys.GARBAGE, message, Suspects.read, lambda jobs, it: jobs.collection.run(it))


@bp.timer_trigger(arg_name="timer", schedule="30 2-59/5 * * * *")
async def sweep_garbage(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the worker gives it by name
    """Go on with the sweep, which begins a round once a day."""
    await registries().sweep()
