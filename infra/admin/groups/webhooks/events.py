"""webhook, continued: what it was told, what came back, and to send it again."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from infra.admin.groups.webhooks.filters import Filters, Since, Until, Wanted, event_of, utc
from infra.admin.groups.webhooks.webhook import WebhookName, opened, webhook
from infra.admin.opening import AdminError, Desk, Misuse
from infra.admin.output import Answer, Listing, said
from shared.administration import Administration
from shared.bootstrap import now
from shared.events import ManifestPushed
from shared.model.outbound.posting import Reply
from shared.model.webhooks.webhook import Webhook
from shared.services.webhooks.replaying import REPLAYED
from shared.services.webhooks.requests.bodies import event_id
from shared.services.webhooks.requests.listing import (
    no_response_message,
    request_message,
    response_message,
)
from shared.storage.rows.webhooks.attempts import Attempt
from shared.storage.rows.webhooks.deliveries import Delivery, State

__all__ = ["webhook"]

_ID = re.compile("-".join(f"[0-9a-f]{{{n}}}" for n in (8, 4, 4, 4, 12)), re.ASCII)
_OF_AN_EVENT = ("event", "at", "action", "what", "state", "attempts")
_OF_AN_ATTEMPT = ("event", "action", "what", "number", "at", "seconds", "address", "secret")
_PAGE = 100
_SOON = timedelta(seconds=1)
_MOST = 100_000

# No `type` statements: behind one typer finds neither name nor help.
_Limit = Annotated[
    int,
    typer.Option(
        "--limit", min=1, max=_MOST, help="How many events at the most; older ones by --before."
    ),
]


@dataclass(frozen=True, slots=True)
class Told:
    """An event for a webhook; receivers know it by its `id`."""

    event: str
    at: datetime
    action: str
    what: str
    state: str
    attempts: int
    due: datetime | None
    why: str
    id: str


@dataclass(frozen=True, slots=True)
class Tried:
    """An attempt, with what was sent and answered as ACR lists that."""

    event: str
    action: str
    what: str
    number: int
    at: datetime
    seconds: float
    address: str
    secret: str
    status: int
    why: str
    eventRequestMessage: Mapping[str, Any]  # noqa: N815 - ACR's word
    eventResponseMessage: Mapping[str, Any]  # noqa: N815 - ACR's word
    id: str


@webhook.command("ping")
async def ping(desk: Desk, name: WebhookName) -> Answer:
    """Send a ping, once, whatever comes of it."""
    async with opened(desk) as here:
        sent = await here.replays.ping(await here.webhooks.show(name))
    told = f"a ping is sent to webhook {name}: webhook events {name} shows what comes of it"
    return said(told, id=event_id(sent.name), event=sent.name)


@webhook.command("events")
async def events(
    desk: Desk,
    name: WebhookName,
    *,
    filters: Filters,
    attempts: Annotated[
        bool,
        typer.Option("--attempts", help="List each attempt; with -o json all that was sent, too."),
    ] = False,
    limit: _Limit = _PAGE,
) -> Listing:
    """List what a webhook was told, the newest first, and what has become of it."""
    wanted = filters.wanted(desk)
    which = " of that kind" if wanted != Wanted() else ""
    if attempts:
        empty = f"nothing{which} was sent to webhook {name}"
        return Listing(
            Tried, _tried(desk, name, wanted, limit), empty, (*_OF_AN_ATTEMPT, "status", "why")
        )
    empty = f"nothing{which} was for webhook {name}"
    return Listing(Told, _told(desk, name, wanted, limit), empty, (*_OF_AN_EVENT, "due", "why"))


@webhook.command("failed")
async def failed(desk: Desk, name: WebhookName) -> Listing:
    """List what failed for good and was not sent again, the oldest first."""
    empty = f"nothing for webhook {name} failed for good or was kept"
    return Listing(Told, _failed(desk, name), empty, (*_OF_AN_EVENT, "why"))


@webhook.command("replay")
async def replay(
    desk: Desk,
    name: WebhookName,
    event: Annotated[
        str,
        typer.Argument(
            metavar="[EVENT]",
            help="Which event, as webhook events lists it, or its webhook-id, as its receiver has.",
        ),
    ] = "",
    *,
    since: Since = None,
    until: Until = None,
    only_failed: Annotated[
        bool, typer.Option("--failed", help="Only what failed for good, or was kept.")
    ] = False,
) -> Answer:
    """Send an event again, or all of some time, for 24 hours from now; its id stays."""
    if bool(event) == bool(since) or (event and (until or only_failed)):
        raise Misuse("name one EVENT, as webhook events lists it, or say --since")
    moment = now()
    begin, end = utc(since), min(utc(until) or moment + _SOON, moment + _SOON)
    if begin and begin >= min(end, moment):
        raise AdminError("--since is not before --until, or is still to come: nothing was then")
    async with opened(desk) as here:
        there = await here.webhooks.show(name)
        if begin is None:
            sent = await here.replays.replay(there, await _named(here, there, event))
            told = f"{sent.name} is sent again to webhook {name}"
            return said(told, count=1, event=sent.name, id=event_id(sent.name))
        states = {state for state in State if state.is_owed} if only_failed else REPLAYED
        count = await here.replays.replay_between(there, begin, end, states)
    return said(f"{count} events are sent again to webhook {name}, the oldest first", count=count)


async def _named(here: Administration, there: Webhook, text: str) -> str:
    """Give the TIME-ID of an event, by that or by its id; raises AdminError."""
    if _ID.fullmatch(text.lower()):
        return await here.replays.named(there, text)
    return event_of(text)


async def _told(desk: Desk, name: str, wanted: Wanted, limit: int) -> AsyncIterator[Told]:
    async with opened(desk) as here:
        async for one in _events(here, await here.webhooks.show(name), wanted, limit):
            yield _listed(one)


async def _tried(desk: Desk, name: str, wanted: Wanted, limit: int) -> AsyncIterator[Tried]:
    async with opened(desk) as here:
        there = await here.webhooks.show(name)
        async for one in _events(here, there, wanted, limit):
            for attempt in await here.replays.attempts(there, one.name):
                yield _attempt(one, attempt)


async def _failed(desk: Desk, name: str) -> AsyncIterator[Told]:
    async with opened(desk) as here:
        there, after = await here.webhooks.show(name), ""
        while page := await here.replays.failed(there, after, _PAGE):
            for one in page:
                yield _listed(one)
            after = page[-1].name


async def _events(
    here: Administration, there: Webhook, wanted: Wanted, limit: int
) -> AsyncIterator[Delivery]:
    """Give those that are wanted, up to so many, the newest first; they are read page by page."""
    after, between = wanted.before, {"since": wanted.since, "until": wanted.until}
    while page := await here.replays.events(there, after, _PAGE, **between):
        for one in filter(wanted.has, page):
            yield one
            limit -= 1
            if not limit:
                return
        after = page[-1].name


def _listed(one: Delivery) -> Told:
    return Told(
        event=one.name,
        at=one.at,
        action=one.action,
        what=_what(one),
        state=one.state.value,
        attempts=one.attempts,
        due=one.due if one.state is State.WAITING and not one.is_parked else None,
        why=one.why,
        id=event_id(one.name),
    )


def _what(one: Delivery) -> str:
    """Name what happened to: REPO:TAG, or REPO@DIGEST; of a ping nothing."""
    event = one.event
    if isinstance(event, ManifestPushed) and event.tag:
        return f"{one.repository}:{event.tag}"
    return f"{one.repository}@{getattr(event, 'digest', '')}" if event else ""


def _attempt(one: Delivery, attempt: Attempt) -> Tried:
    reply = Reply(attempt.status, attempt.reason, attempt.version, attempt.headers, attempt.body)
    answered = response_message(reply) if attempt.status else no_response_message(attempt.why)
    return Tried(
        event=one.name,
        action=one.action,
        what=_what(one),
        number=attempt.number,
        at=attempt.at,
        seconds=attempt.seconds,
        address=attempt.address,
        secret=attempt.secret,
        status=attempt.status,
        why=attempt.why,
        eventRequestMessage=_asked(attempt),
        eventResponseMessage=answered,
        id=event_id(one.name),
    )


def _asked(attempt: Attempt) -> Mapping[str, Any]:
    """Say what was sent; nothing was, where the secrets could not be opened."""
    if not attempt.sent:
        return {}
    return request_message(attempt.address, attempt.sent_headers, attempt.sent)
