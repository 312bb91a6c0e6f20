"""Garbage: blobs that nothing uses any more."""

import azure.functions as func

from shared.bootstrap import registries
from shared.storage import keys
from shared.storage.collecting import Suspects

bp = func.Blueprint()


@bp.queue_trigger(arg_name="message", queue_name="garbage", connection="AzureWebJobsStorage")
async def collect_garbage(message: func.QueueMessage) -> None:
    """Collect the blobs that a message names, as far as nothing uses them."""
    retries = registries().retries
    await retries.run(keys.GARBAGE, message.get_body(), Suspects.read, _collect)


async def _collect(suspects: Suspects) -> None:
    here = await registries().jobs(suspects.generation)

    await here.collection.run(suspects)
