"""Events on their way out: what follows a push or a deletion."""

import azure.functions as func

from shared.bootstrap import registries
from shared.services.events.fan_out import Announcement
from shared.storage import keys

bp = func.Blueprint()


@bp.queue_trigger(arg_name="message", queue_name="events", connection="AzureWebJobsStorage")
async def fan_out_event(message: func.QueueMessage) -> None:
    """Hand on the events of one change to those who are to hear of it."""
    retries = registries().retries
    await retries.run(keys.EVENTS, message.get_body(), Announcement.read, _follow)


async def _follow(announcement: Announcement) -> None:
    here = await registries().jobs(announcement.generation)

    await here.fan_out.follow(announcement)
