"""Events on their way out: what follows a push or a delete."""

import azure.functions as func

from shared.bootstrap import registries
from shared.events import ManifestDeleted
from shared.services.events.announcements import Announcement

bp = func.Blueprint()


@bp.queue_trigger(arg_name="message", queue_name="events", connection="AzureWebJobsStorage")
async def fan_out_event(message: func.QueueMessage) -> None:
    """Hand on the events of one change; raises to be called again."""
    announcement = Announcement.read(message.get_body())
    here = registries().jobs(announcement.generation)

    happened = await here.events.waiting(announcement)
    for event in happened:
        await here.fallback_lists.follow(announcement.repository, event)
    if any(isinstance(event, ManifestDeleted) for event in happened):
        await here.repositories.retire(announcement.repository)

    await here.events.settle(announcement)
