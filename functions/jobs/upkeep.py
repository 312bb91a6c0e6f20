"""Upkeep: what the registry does for itself, an errand at a time."""

import azure.functions as func

from functions.jobs.messages import run
from shared.storage import keys
from shared.storage.messages.errands import Errand

bp = func.Blueprint()


@bp.queue_trigger(arg_name="message", queue_name="upkeep", connection="AzureWebJobsStorage")
async def run_errand(message: func.QueueMessage) -> None:
    """Run an errand; one that fails is tried again later."""
    await run(keys.UPKEEP, message, Errand.read, lambda jobs, it: jobs.upkeep.run(it))
