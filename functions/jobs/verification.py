"""Verification: bytes are hashed once more, as storage gives them back."""

import azure.functions as func
import azurefunctions.extensions.bindings.blob as bindings

from functions.jobs.messages import run
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
    await registries().arrivals.made(client.blob_name)


@bp.queue_trigger(arg_name="message", queue_name="blob-events", connection="AzureWebJobsStorage")
async def verify_blob_event(message: func.QueueMessage) -> None:
    """Verify an object that has been made, where Event Grid tells a queue of it."""
    await registries().arrivals.told(message.get_body())


@bp.queue_trigger(arg_name="message", queue_name="verification", connection="AzureWebJobsStorage")
async def verify_object(message: func.QueueMessage) -> None:
    """Go on with an object whose turn it is."""
    await run(
        keys.VERIFICATION, message, ToVerify.read, lambda jobs, it: jobs.verification.go_on(it)
    )


@bp.timer_trigger(arg_name="timer", schedule="0 17 * * * *")
async def scrub_blobs(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the worker gives it by name
    """Verify again what was verified long ago, within the day's budget."""
    await registries().scrub()
