"""Verification: bytes are hashed once more, as storage gives them back."""

import azure.functions as func
import azurefunctions.extensions.bindings.blob as bindings

from shared.bootstrap import registries
from shared.storage import keys
from shared.storage.verifying import ToVerify

bp = func.Blueprint()


@bp.blob_trigger(
    arg_name="client",
    path="content/{name}",
    connection="AzureWebJobsStorage",
    source=func.BlobSource.EVENT_GRID,
)
async def verify_blob(client: bindings.BlobClient) -> None:
    """Verify an object that has been made."""
    made = ToVerify.named(client.blob_name)
    here = await registries().jobs(made.generation)

    await here.verification.go_on(made)


@bp.queue_trigger(arg_name="message", queue_name="verification", connection="AzureWebJobsStorage")
async def verify_object(message: func.QueueMessage) -> None:
    """Go on with an object whose turn it is."""
    retries = registries().retries
    await retries.run(keys.VERIFICATION, message.get_body(), ToVerify.read, _verify)


async def _verify(asked: ToVerify) -> None:
    here = await registries().jobs(asked.generation)

    await here.verification.go_on(asked)
