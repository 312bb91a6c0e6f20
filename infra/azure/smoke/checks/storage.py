"""Storage: what lies behind the queues, read from the rows by the operator's own settings.

There is no other way to tell that a new object was verified, or that a receiver has answered: the
registry's API does not say it.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime

from infra.azure.smoke.checking import USUAL_SECONDS, Room
from infra.azure.smoke.findings import Differs, NotChecked
from infra.azure.smoke.options import Options
from infra.azure.smoke.site import Site
from infra.azure.smoke.waiting import tries
from shared.administration import Administration
from shared.model.digest import Digest
from shared.model.webhooks.webhook import Webhook
from shared.services.webhooks.configuration.registering import NoWebhook, Wish
from shared.storage.ports import Row
from shared.storage.rows.webhooks.deliveries import Delivery, State

room = Room("storage")

_TAG = "told"


def _seconds(options: Options) -> float:
    return options.waits + USUAL_SECONDS


@room.check(
    "verification",
    lambda options: f"a new object is verified within {options.waits:.0f} s, as its row says",
    _seconds,
)
async def verification(site: Site) -> str:
    """Wait until the pushed layer's row bears the time."""
    digest = Digest.parse(site.pushed.layer.digest)
    async with site.storage() as here:
        async for _ in tries(site.options.waits):
            verified = (await _content(here, digest)).values.get("verified")
            if isinstance(verified, datetime):
                return f"verified at {verified:%H:%M:%S} UTC"
    raise Differs(
        f"not verified within {site.options.waits:.0f} s: does the event of new objects"
        " (BlobCreated, of the container content) come to the queue, and what does queue list say?"
    )


async def _content(here: Administration, digest: Digest) -> Row:
    row = await here.jobs.stores.holdings.content(digest)
    if row is None:
        raise NotChecked(
            f"the storage of these settings does not know {digest}, which was pushed just now: they"
            " are those of another registry (another is named with --registry)"
        )
    return row


@room.check(
    "webhook",
    lambda options: f"a receiver is told of a push within {options.waits:.0f} s, and answers",
    _seconds,
)
async def webhook(site: Site) -> str:
    """Make a webhook for the receiver, push a tag, and read in the rows what was answered."""
    if not site.options.receiver:
        raise NotChecked("no receiver: give --receiver URL, of one that answers a POST with 2xx")
    pushed = site.pushed
    async with site.storage() as here, _made(here, site) as hook:
        await _content(here, Digest.parse(pushed.layer.digest))
        path = f"{site.path}/manifests/{_TAG}"
        headers = {"Content-Type": pushed.media_type}
        (await site.ask("PUT", path, headers, pushed.manifest)).expect(201)
        one: Delivery | None = None
        async for _ in tries(site.options.waits):
            one = next(iter(await here.replays.events(hook, limit=1)), None)
            if one and one.state is not State.WAITING:
                break
        return await _told(here, hook, one)


@asynccontextmanager
async def _made(here: Administration, site: Site) -> AsyncIterator[Webhook]:
    """Make a webhook of this repository alone, and remove it again."""
    wish = Wish(uri=site.options.receiver, scope=f"{site.repository}:*", is_enabled=True)
    hook = await here.webhooks.create(f"smoke{secrets.token_hex(6)}", wish)
    try:
        yield hook
    finally:
        with suppress(NoWebhook):
            await here.webhooks.delete(hook.name)


async def _told(here: Administration, hook: Webhook, one: Delivery | None) -> str:
    """Say what the receiver answered; raises Differs."""
    if one is None:
        raise Differs("no event was made of the push: what does queue list say?")
    attempts = await here.replays.attempts(hook, one.name)
    last = max(attempts, key=lambda attempt: attempt.number, default=None)
    if one.state is not State.DELIVERED or last is None:
        raise Differs(f"{one.state} after {len(attempts)} attempts: {one.why or 'none was made'}")
    later = (last.at - one.at).total_seconds()
    return f"{last.status} from {last.address}, asked {later:.1f} s after the push"
