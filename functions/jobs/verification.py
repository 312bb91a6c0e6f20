"""Verification: bytes are hashed once more, as storage gives them back."""

import azure.functions as func

from shared.bootstrap import registries
from shared.storage import keys
from shared.storage.verifying import ToVerify

bp = func.Blueprint()


@bp.queue_trigger(arg_name="message", queue_name="verification", connection="AzureWebJobsStorage")
async def verify_object(message: func.QueueMessage) -> None:
    """Go on with an object whose turn it is."""
    retries = registries().retries
    await retries.run(keys.VERIFICATION, message.get_body(), ToVerify.read, _go_on)


async def _go_on(asked: ToVerify) -> None:
    here = await registries().jobs(asked.generation)

    await here.verification.go_on(asked)
