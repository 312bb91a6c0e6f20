"""webhook: who outside is told of pushes and deletions, and how."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from infra.admin.app import Group
from infra.admin.given import certificates_of, headers_of, only_one_reads_input, text_of
from infra.admin.naming import repository_of
from infra.admin.opening import AdminError, Desk
from infra.admin.output import Answer, Listing, cell, said
from shared.administration import Administration
from shared.model.digest import Digest
from shared.model.names import RepositoryName, parse_tag
from shared.model.webhooks.callbacks import CallbackUnreadable
from shared.model.webhooks.webhook import USUAL_SECONDS, Action, Form, Hmac, Webhook, WebhookInvalid
from shared.services.webhooks.configuration.checking import parse_hmac
from shared.services.webhooks.configuration.registering import OVERLAP, NoWebhook, Wish, new_secret
from shared.services.webhooks.replaying import ReplayRefused
from shared.services.webhooks.requests.masking import MASK
from shared.services.webhooks.requests.signatures import fingerprint, whsec_of

webhook = Group("webhook", "Who outside is told of pushes and deletions, and how.")

_HOUR = timedelta(hours=1)
_MOST_HOURS = 365 * 24
_AUTO = "auto"

# No `type` statements: behind one typer finds neither name nor help.
WebhookName = Annotated[
    str, typer.Argument(metavar="NAME", help="The webhook's name: 5 to 50 letters and digits.")
]
_Uri = typer.Option(
    "--uri", metavar="URL|@FILE|-", help="Where it posts to; or a file, or standard input."
)
_Secret = typer.Option(
    "--secret",
    metavar="auto|VALUE|@FILE|-",
    help="What it signs with: drawn, given, in a file, or on standard input.",
)
_Overlap = typer.Option(
    "--overlap",
    metavar="HOURS",
    min=0,
    max=_MOST_HOURS,
    help=f"How long an old secret signs, too: {OVERLAP // _HOUR}, unless given; 0 ends it now.",
)
_Actions = typer.Option("--action", help="What it hears of: push, unless given. May be repeated.")
_Scope = typer.Option(
    "--scope", metavar="SCOPE", help="REPO:*, REPO:TAG, REPO (its tag latest); '' is everything."
)
_Headers = typer.Option(
    "--header", metavar="K=V|@FILE", help="A header to send; or a file of such lines."
)
_Hmacs = typer.Option(
    "--hmac", metavar="HEADER=ALG[:bare]", help="Sign the body alone, too: sha1 or sha256."
)
_Form = typer.Option("--form", help="acr, unless given.")
_TAGGED = "Leave out what has no tag, lists and signatures, and what refers to another manifest."
_Ca = typer.Option("--ca", metavar="FILE", help="Certificates (PEM) that the receiver's come from.")
_Timeout = typer.Option(
    "--timeout",
    metavar="S",
    help=f"Seconds to wait for an answer: 1 to 60; {USUAL_SECONDS}, unless given.",
)
_RETRY = "Try again what is answered with any 4xx, but 410."


class Part(StrEnum):
    """What can be taken from a webhook."""

    HEADERS = "headers"
    SECRET = "secret"  # noqa: S105 - a word
    HMAC = "hmac"
    CA = "ca"


@dataclass(frozen=True, slots=True)
class Listed:
    """A webhook, as it is listed."""

    name: str
    state: str
    actions: list[str]
    scope: str
    address: str
    failures: int
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
async def create(  # noqa: PLR0913 - an option each
    desk: Desk,
    name: WebhookName,
    *,
    uri: Annotated[str, _Uri],
    action: Annotated[list[Action] | None, _Actions] = None,
    scope: Annotated[str, _Scope] = "",
    header: Annotated[list[str] | None, _Headers] = None,
    secret: Annotated[str | None, _Secret] = None,
    hmac: Annotated[list[str] | None, _Hmacs] = None,
    form: Annotated[Form, _Form] = Form.ACR,
    tagged_only: Annotated[bool, typer.Option("--tagged-only", help=_TAGGED)] = False,
    ca: Annotated[Path | None, _Ca] = None,
    seconds: Annotated[int, _Timeout] = USUAL_SECONDS,
    retry_4xx: Annotated[bool, typer.Option("--retry-4xx", help=_RETRY)] = False,
    disabled: Annotated[
        bool, typer.Option("--disabled", help="Keep events until it is enabled, and send none.")
    ] = False,
) -> Answer:
    """Make a webhook; the form of its secret that receivers need is told this once."""
    only_one_reads_input(uri, secret)
    typed = _secret(secret)
    wish = Wish(
        uri=text_of(uri, "the URI"),
        headers=headers_of(header or []),
        secret=typed,
        is_enabled=not disabled,
        scope=scope,
        actions=frozenset(action or [Action.PUSH]),
        form=form,
        hmacs=_hmacs(hmac or []),
        is_tagged_only=tagged_only,
        retries_4xx=retry_4xx,
        seconds=seconds,
        ca=certificates_of(ca) or "",
    )
    async with opened(desk) as here:
        made = await here.webhooks.create(name, wish)
    return _with_secret(f"webhook {made.name} is made", made, typed)


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
        document = _document(here, await here.webhooks.show(name), is_open=callback)
    lines = [f"{key.replace('_', ' ')}: {_line(value)}" for key, value in document.items()]
    return Answer(document, lines)


@webhook.command("update")
async def update(  # noqa: PLR0913 - an option each
    desk: Desk,
    name: WebhookName,
    *,
    uri: Annotated[str | None, _Uri] = None,
    action: Annotated[list[Action] | None, _Actions] = None,
    scope: Annotated[str | None, _Scope] = None,
    header: Annotated[list[str] | None, _Headers] = None,
    secret: Annotated[str | None, _Secret] = None,
    overlap: Annotated[int | None, _Overlap] = None,
    hmac: Annotated[list[str] | None, _Hmacs] = None,
    form: Annotated[Form | None, _Form] = None,
    tagged_only: Annotated[
        bool | None, typer.Option("--tagged-only/--no-tagged-only", help=_TAGGED)
    ] = None,
    ca: Annotated[Path | None, _Ca] = None,
    seconds: Annotated[int | None, _Timeout] = None,
    retry_4xx: Annotated[
        bool | None, typer.Option("--retry-4xx/--no-retry-4xx", help=_RETRY)
    ] = None,
    enable: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Send, or only keep, its events.")
    ] = None,
    without: Annotated[
        list[Part] | None, typer.Option("--without", help="Take all of these away.")
    ] = None,
) -> Answer:
    """Change what is given, and leave the rest; of headers and the like, all of them."""
    only_one_reads_input(uri, secret)
    typed, gone = _secret(secret), frozenset(without or [])
    _check_gone(gone, {Part.HEADERS: header, Part.SECRET: secret, Part.HMAC: hmac, Part.CA: ca})
    wish = Wish(
        uri=None if uri is None else text_of(uri, "the URI"),
        headers={} if Part.HEADERS in gone else headers_of(header) if header else None,
        secret="" if Part.SECRET in gone else typed,
        overlap=None if overlap is None else overlap * _HOUR,
        is_enabled=enable,
        scope=scope,
        actions=frozenset(action) if action else None,
        form=form,
        hmacs=() if Part.HMAC in gone else _hmacs(hmac) if hmac else None,
        is_tagged_only=tagged_only,
        retries_4xx=retry_4xx,
        seconds=seconds,
        ca="" if Part.CA in gone else certificates_of(ca),
    )
    if wish == Wish():
        raise AdminError(f"say what of webhook {name} is to be another")
    async with opened(desk) as here:
        changed = await here.webhooks.update(name, wish)
        ends = [it.until for it in here.webhooks.callback(changed).secrets if it.until]
        is_owed = await here.webhooks.has_failed(changed)
    told = f"webhook {changed.name} is changed"
    if Part.SECRET in gone:
        told += "; it signs no more from now on"
    if ends and (typed or overlap is not None):
        told += f"; the old secret signs, too, until {cell(max(ends))} UTC"
    if enable and is_owed:
        told += (
            "; what was kept or has failed before is not sent by that: see webhook failed"
            f" {name}, and send it by webhook replay {name} --since TIME --failed"
        )
    return _with_secret(told, changed, typed)


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


def _secret(given: str | None) -> str | None:
    """Give the secret that an option asks for; raises AdminError."""
    if given is None:
        return None
    text = new_secret() if given == _AUTO else text_of(given, "the secret")
    if not text:
        raise AdminError("the secret is empty: say auto, and one is drawn")
    return text


def _with_secret(told: str, there: Webhook, typed: str | None) -> Answer:
    """Say what was done, and the form of a new secret that the libraries of receivers read."""
    document = {"message": told, "name": there.name, "id": there.id}
    if typed is None:
        return Answer(document, [told])
    form = whsec_of(typed)
    return Answer({**document, "secret": form}, [told, f"secret, shown this once: {form}"])


def _check_gone(gone: frozenset[Part], given: dict[Part, object]) -> None:
    for part in gone:
        if given[part]:
            raise AdminError(f"take --without {part}, or give one: not both")


def _document(here: Administration, there: Webhook, *, is_open: bool) -> dict[str, object]:
    callback, health = here.webhooks.callback(there), there.health
    document: dict[str, object] = {
        "name": there.name,
        "id": there.id,
        "created": there.created,
        "state": state_of(there),
        "disabled_because": health.disabled,
        "held_since": health.held,
        "next_probe": health.due if health.held else None,
        "failures": health.failures,
        "why": health.why,
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
    if is_open:
        document |= {"service_uri": callback.uri, "custom_headers": dict(callback.headers)}
    return document


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


def _hmacs(given: Sequence[str]) -> tuple[Hmac, ...]:
    try:
        return tuple(parse_hmac(one) for one in given)
    except WebhookInvalid as error:
        raise AdminError(f"--hmac: {error}") from error


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
                not_replayed=await here.webhooks.has_failed(there),
                why=health.disabled or health.why,
            )


async def _explained(desk: Desk, repository: RepositoryName, tag: str) -> AsyncIterator[Explained]:
    async with opened(desk) as here:
        for one in await here.webhooks.explain(repository, tag):
            verdict = one.verdict
            yield Explained(one.webhook.name, verdict.is_heard, verdict.why, state_of(one.webhook))


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
