"""Events on their way out: what follows a push or a deletion."""

import azure.functions as func

from shared.bootstrap import registries
from shared.services.events.fan_out import Announcement

bp = func.Blueprint()


@bp.queue_trigger(arg_name="message", queue_name="events", connection="AzureWebJobsStorage")
async def fan_out_event(message: func.QueueMessage) -> None:
    """Hand on the events of one change to those who are to hear of it."""
    announcement = Announcement.read(message.get_body())
    here = await registries().jobs(announcement.generation)

    await here.fan_out.follow(announcement)
