"""Webhooks: those outside are told, and told again."""

import azure.functions as func

from shared.bootstrap import registries
from shared.storage import keys
from shared.storage.messages.delivering import ToDeliver

bp = func.Blueprint()


@bp.queue_trigger(arg_name="message", queue_name="deliveries", connection="AzureWebJobsStorage")
async def deliver_webhook(message: func.QueueMessage) -> None:
    """Deliver an event to a webhook, probe a receiver that is held, or release what waited."""
    here = registries()
    await here.retries.run(keys.DELIVERIES, message.get_body(), ToDeliver.read, here.deliver)


@bp.timer_trigger(arg_name="timer", schedule="0 41 * * * *")
async def tend_webhooks(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the worker gives it by name
    """Remove what is old of webhooks, and move what a lost message would have moved."""
    await registries().tend()
