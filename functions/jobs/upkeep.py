"""Upkeep: what the registry does for itself, an errand at a time."""

import azure.functions as func

from shared.bootstrap import registries
from shared.storage import keys
from shared.storage.messages.errands import Errand

bp = func.Blueprint()


@bp.queue_trigger(arg_name="message", queue_name="upkeep", connection="AzureWebJobsStorage")
async def run_errand(message: func.QueueMessage) -> None:
    """Run an errand; one that fails is tried again later."""
    retries = registries().retries
    await retries.run(keys.UPKEEP, message.get_body(), Errand.read, _run)


async def _run(errand: Errand) -> None:
    here = await registries().jobs(errand.generation)

    await here.upkeep.run(errand)
