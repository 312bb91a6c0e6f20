"""Verification: bytes are hashed once more, as storage gives them back."""

import azure.functions as func
import azurefunctions.extensions.bindings.blob as bindings

from shared.bootstrap import registries
from shared.storage import keys
from shared.storage.messages.verifying import ToVerify

bp = func.Blueprint()


@bp.blob_trigger(
    arg_name="client",
    path="content/{name}",
    connection="AzureWebJobsStorage",
    source=func.BlobSource.EVENT_GRID,
)
async def verify_blob(client: bindings.BlobClient) -> None:
    """Verify an object that has been made; where that fails, the queue goes on with it."""
    made = ToVerify.named(client.blob_name).text().encode()

    await registries().retries.run(keys.VERIFICATION, made, ToVerify.read, _go_on)


@bp.queue_trigger(arg_name="message", queue_name="verification", connection="AzureWebJobsStorage")
async def verify_object(message: func.QueueMessage) -> None:
    """Go on with an object whose turn it is."""
    retries = registries().retries
    await retries.run(keys.VERIFICATION, message.get_body(), ToVerify.read, _go_on)


async def _go_on(asked: ToVerify) -> None:
    here = await registries().jobs(asked.generation)

    await here.verification.go_on(asked)


@bp.timer_trigger(arg_name="timer", schedule="0 17 * * * *")
async def scrub_blobs(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the worker gives it by name
    """Verify again what was verified long ago, within the day's budget."""
    await registries().scrub()
