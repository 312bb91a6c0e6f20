"""webhook: who outside is told of pushes and deletions, and how."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated

import typer

from infra.admin.app import Group
from infra.admin.groups.webhooks.wishes import URI, Changes, Options
from infra.admin.naming import repository_of
from infra.admin.opening import AdminError, Desk, Misuse
from infra.admin.output import Answer, Listing, cell, said
from shared.administration import Administration
from shared.model.digest import Digest
from shared.model.names import RepositoryName, parse_tag
from shared.model.webhooks.callbacks import CallbackUnreadable
from shared.model.webhooks.webhook import Webhook, WebhookInvalid
from shared.services.webhooks.configuration.registering import Heard, NoWebhook, Wish
from shared.services.webhooks.replaying import ReplayRefused
from shared.services.webhooks.requests.masking import MASK
from shared.services.webhooks.requests.signatures import fingerprint, whsec_of

webhook = Group("webhook", "Who outside is told of pushes and deletions, and how.")

# No `type` statements: behind one typer finds neither name nor help.
WebhookName = Annotated[
    str, typer.Argument(metavar="NAME", help="The webhook's name: 5 to 50 letters and digits.")
]


@dataclass(frozen=True, slots=True)
class Listed:
    """A webhook, as it is listed."""

    name: str
    state: str
    actions: list[str]
    scope: str
    address: str
    failures: int
    failing_since: datetime | None
    waiting: int
    not_replayed: bool
    why: str


@dataclass(frozen=True, slots=True)
class Explained:
    """What a webhook makes of a push."""

    webhook: str
    hears: bool
    why: str
    state: str


@webhook.command("create")
async def create(
    desk: Desk,
    name: WebhookName,
    *,
    uri: Annotated[str, URI],
    options: Options,
    disabled: Annotated[
        bool, typer.Option("--disabled", help="Keep events until it is enabled, and send none.")
    ] = False,
) -> Answer:
    """Make a webhook; the form of its secret that receivers need is told this once."""
    wish = replace(options.wish(desk, uri), is_enabled=not disabled)
    async with opened(desk) as here:
        made = await here.webhooks.create(name, wish)
    return _with_secret(f"webhook {made.name} is made", made, wish)


@webhook.command("list")
async def list_webhooks(desk: Desk) -> Listing:
    """List the webhooks, and which are disabled, held, or failing."""
    return Listing(Listed, _all(desk), "there are no webhooks")


@webhook.command("show")
async def show(
    desk: Desk,
    name: WebhookName,
    *,
    callback: Annotated[
        bool, typer.Option("--callback", help="Show its URI and headers in the clear, too.")
    ] = False,
) -> Answer:
    """Show a webhook: all but what is secret, and how its receiver does."""
    async with opened(desk) as here:
        there = await here.webhooks.show(name)
        document = await _document(here, there)
        if callback:
            known = here.webhooks.callback(there)
            document |= {"service_uri": known.uri, "custom_headers": dict(known.headers)}
    lines = [f"{key.replace('_', ' ')}: {_line(value)}" for key, value in document.items()]
    return Answer(document, lines)


@webhook.command("update")
async def update(
    desk: Desk, name: WebhookName, *, uri: Annotated[str | None, URI] = None, changes: Changes
) -> Answer:
    """Change what is given, and leave the rest; of headers and the like, all of them."""
    wish = changes.wish(desk, uri)
    if wish == Wish():
        raise Misuse(f"say what of webhook {name} is to be another")
    async with opened(desk) as here:
        changed = await here.webhooks.update(name, wish)
        told = f"webhook {changed.name} is changed{await _what_follows(here, changed, wish)}"
    return _with_secret(told, changed, wish)


@webhook.command("delete")
async def delete(desk: Desk, name: WebhookName) -> Answer:
    """Remove a webhook, and all that waits for it."""
    async with opened(desk) as here:
        await here.webhooks.delete(name)
    return said(f"webhook {name} is deleted", name=name)


@webhook.command("explain")
async def explain(
    desk: Desk,
    pushed: Annotated[
        str,
        typer.Argument(
            metavar="REPO:TAG", help="What would be pushed; REPO@DIGEST for a push without a tag."
        ),
    ],
) -> Listing:
    """Say which webhooks hear of a push, and why the others do not."""
    repository, tag = _pushed(desk, pushed)
    return Listing(Explained, _explained(desk, repository, tag), "there are no webhooks")


@asynccontextmanager
async def opened(desk: Desk) -> AsyncIterator[Administration]:
    """Open the registry; what is wrong with a webhook is why a command did nothing."""
    try:
        async with desk.opened() as here:
            yield here
    except (WebhookInvalid, NoWebhook, ReplayRefused, CallbackUnreadable) as error:
        raise AdminError(str(error)) from error


async def _what_follows(here: Administration, changed: Webhook, wish: Wish) -> str:
    """Say what comes of a change that is not seen at once."""
    told = ""
    if wish.secret == "":
        told += "; it signs no more from now on"
    ends = [it.until for it in here.webhooks.callback(changed).secrets if it.until]
    if ends and (wish.secret or wish.overlap is not None):
        told += f"; the old secret signs, too, until {cell(max(ends))} UTC"
    if wish.is_enabled and await here.webhooks.has_failed(changed):
        told += (
            "; what was kept or has failed before is not sent by that: see webhook failed"
            f" {changed.name}, and send it by webhook replay {changed.name} --since TIME --failed"
        )
    return told


def _with_secret(told: str, there: Webhook, wish: Wish) -> Answer:
    """Say what was done, and the form of a new secret that the libraries of receivers read."""
    document = {"message": told, "name": there.name, "id": there.id}
    if not wish.secret:
        return Answer(document, [told])
    form = whsec_of(wish.secret)
    return Answer({**document, "secret": form}, [told, f"secret, shown this once: {form}"])


async def _document(here: Administration, there: Webhook) -> dict[str, object]:
    callback, health = here.webhooks.callback(there), there.health
    return {
        "name": there.name,
        "id": there.id,
        "created": there.created,
        "state": state_of(there),
        "disabled_because": health.disabled,
        "held_since": health.held,
        "next_probe": health.due if health.held else None,
        "failures": health.failures,
        "failing_since": health.failing,
        "why": health.why,
        "waiting": await here.webhooks.count_waiting(there),
        "actions": sorted(there.actions),
        "scope": str(there.scope),
        "form": there.form,
        "address": here.webhooks.address(there),
        "headers": dict.fromkeys(callback.headers, MASK),
        "secrets": [
            {"fingerprint": fingerprint(there.id, secret), "until": secret.until}
            for secret in callback.secrets
        ],
        "hmacs": [_hmac(hmac.header, hmac.algorithm, hmac.is_bare) for hmac in there.hmacs],
        "tagged_only": there.is_tagged_only,
        "retry_4xx": there.retries_4xx,
        "timeout": there.seconds,
        "own_ca": bool(there.ca),
    }


def state_of(there: Webhook) -> str:
    """Say in a word whether a webhook is delivered to."""
    if not there.is_enabled:
        return "disabled"
    return "held" if there.health.held else "enabled"


def _hmac(header: str, algorithm: str, is_bare: bool) -> str:  # noqa: FBT001 - as it is typed
    return f"{header}={algorithm}{':bare' if is_bare else ''}"


def _line(value: object) -> str:
    if isinstance(value, dict):
        return cell([f"{name}={cell(one)}" for name, one in value.items()])
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return cell([_until(one["fingerprint"], one["until"]) for one in value])
    return cell(value)


def _until(name: str, until: datetime | None) -> str:
    return f"{name} until {cell(until)}" if until else name


async def _all(desk: Desk) -> AsyncIterator[Listed]:
    async with opened(desk) as here:
        for there in await here.webhooks.all():
            health = there.health
            yield Listed(
                name=there.name,
                state=state_of(there),
                actions=sorted(there.actions),
                scope=str(there.scope),
                address=here.webhooks.address(there),
                failures=health.failures,
                failing_since=health.failing,
                waiting=await here.webhooks.count_waiting(there),
                not_replayed=await here.webhooks.has_failed(there),
                why=health.disabled or health.why,
            )


async def _explained(desk: Desk, repository: RepositoryName, tag: str) -> AsyncIterator[Explained]:
    async with opened(desk) as here:
        for one in await here.webhooks.explain(repository, tag):
            hears, state = one.verdict.is_heard, state_of(one.webhook)
            yield Explained(one.webhook.name, hears, _why(one, state), state)


def _why(heard: Heard, state: str) -> str:
    """Say why a webhook hears of a push or not, and what then keeps it from being sent."""
    told = {
        "disabled": "; it is disabled: kept, not sent",
        "held": "; it is held: waits until its receiver answers",
    }
    return heard.verdict.why + (told.get(state, "") if heard.verdict.is_heard else "")


def _pushed(desk: Desk, text: str) -> tuple[RepositoryName, str]:
    """Read what would be pushed: a tag, or nothing for a digest."""
    name, at, digest = text.partition("@")
    if at:
        Digest.parse(digest)
        return repository_of(desk, name), ""
    name, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        raise AdminError(f"say which tag of {text}: REPO:TAG, or REPO@DIGEST for a push without")
    return repository_of(desk, name), parse_tag(tag)
