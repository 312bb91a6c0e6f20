"""Events on their way out: what follows a push or a deletion."""

import azure.functions as func

from functions.jobs.messages import run
from shared.services.events.fan_out import Announcement
from shared.storage import keys

bp = func.Blueprint()


@bp.queue_trigger(arg_name="message", queue_name="events", connection="AzureWebJobsStorage")
async def fan_out_event(message: func.QueueMessage) -> None:
    """Hand on the events of one change to those who are to hear of it."""
    await run(keys.EVENTS, message, Announcement.read, lambda jobs, it: jobs.fan_out.follow(it))
