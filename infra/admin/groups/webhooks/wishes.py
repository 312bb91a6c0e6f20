"""Wishes: the options that say how a webhook is to be, one that is made or one that changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.admin.given import certificates_of, headers_of, only_one_reads_input, text_of
from infra.admin.naming import scope_of
from infra.admin.opening import AdminError, Desk, Misuse
from shared.model.webhooks.webhook import USUAL_SECONDS, Action, Form, Hmac, WebhookInvalid
from shared.services.webhooks.configuration.checking import parse_hmac
from shared.services.webhooks.configuration.registering import OVERLAP, Wish, new_secret

_HOUR = timedelta(hours=1)
_MOST_HOURS = 365 * 24
_AUTO = "auto"

# No `type` statements: behind one typer finds neither name nor help.
URI = typer.Option(
    "--uri", metavar="URL|@FILE|-", help="Where it posts to; or a file, or standard input."
)
_Actions = Annotated[
    list[Action] | None,
    typer.Option("--action", help="What it hears of: push, unless given. May be repeated."),
]
_Scope = Annotated[
    str | None,
    typer.Option(
        metavar="SCOPE",
        help="REPO:*, REPO:TAG, REPO (its tag latest); '' is everything.",
    ),
]
_Headers = Annotated[
    list[str] | None,
    typer.Option(
        "--header", metavar="K=V|@FILE", help="A header to send; or a file of such lines."
    ),
]
_Secret = Annotated[
    str | None,
    typer.Option(
        metavar="auto|VALUE|@FILE|-",
        help="What it signs with: drawn, given, in a file, or on standard input.",
    ),
]
_Hmacs = Annotated[
    list[str] | None,
    typer.Option(
        "--hmac", metavar="HEADER=ALG[:bare]", help="Sign the body alone, too: sha1 or sha256."
    ),
]
_Form = Annotated[Form | None, typer.Option(help="acr, unless given.")]
_TaggedOnly = Annotated[
    bool | None,
    typer.Option(
        "--tagged-only/--no-tagged-only",
        help="Leave out what has no tag, lists, signatures, and what refers to another manifest.",
    ),
]
_Ca = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Certificates (PEM) that the receiver's come from."),
]
_Timeout = Annotated[
    int | None,
    typer.Option(
        "--timeout",
        metavar="S",
        help=f"Seconds to wait for an answer: 1 to 60; {USUAL_SECONDS}, unless given.",
    ),
]
_Retry4xx = Annotated[
    bool | None,
    typer.Option(
        "--retry-4xx/--no-retry-4xx", help="Try again what is answered with any 4xx, but 410."
    ),
]
_Overlap = Annotated[
    int | None,
    typer.Option(
        metavar="HOURS",
        min=0,
        max=_MOST_HOURS,
        help=f"How long an old secret signs, too: {OVERLAP // _HOUR}, unless given; 0 ends it now.",
    ),
]


class Part(StrEnum):
    """What can be taken from a webhook."""

    HEADERS = "headers"
    SECRET = "secret"  # noqa: S105 - a word
    HMAC = "hmac"
    CA = "ca"


_Without = Annotated[list[Part] | None, typer.Option(help="Take all of these away.")]
_NOTHING: Mapping[Part, tuple[str, Any]] = {
    Part.HEADERS: ("headers", {}),
    Part.SECRET: ("secret", ""),
    Part.HMAC: ("hmacs", ()),
    Part.CA: ("ca", ""),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a webhook is to be; None is as it is, or of a new one as usual."""

    action: _Actions = None
    scope: _Scope = None
    header: _Headers = None
    secret: _Secret = None
    hmac: _Hmacs = None
    form: _Form = None
    tagged_only: _TaggedOnly = None
    ca: _Ca = None
    seconds: _Timeout = None
    retry_4xx: _Retry4xx = None

    def wish(self, desk: Desk, uri: str | None) -> Wish:
        """Read what is wished for, from files and standard input, too; raises AdminError."""
        only_one_reads_input(uri, self.secret)
        return Wish(
            uri=None if uri is None else text_of(uri, "the URI"),
            headers=headers_of(self.header) if self.header else None,
            secret=_secret(self.secret),
            scope=None if self.scope is None else scope_of(desk, self.scope),
            actions=frozenset(self.action) if self.action else None,
            form=self.form,
            hmacs=_hmacs(self.hmac) if self.hmac else None,
            is_tagged_only=self.tagged_only,
            retries_4xx=self.retry_4xx,
            seconds=self.seconds,
            ca=certificates_of(self.ca),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes(Options):
    """What of a webhook is to be another."""

    overlap: _Overlap = None
    enable: Annotated[bool, typer.Option("--enable", help="Send its events.")] = False
    disable: Annotated[bool, typer.Option("--disable", help="Keep its events; send none.")] = False
    without: _Without = None

    def wish(self, desk: Desk, uri: str | None) -> Wish:
        """Read what is wished for, and what is to be taken away; raises AdminError."""
        if self.enable and self.disable:
            raise Misuse("say --enable or --disable, not both")
        return replace(
            _lessened(Options.wish(self, desk, uri), self.without or ()),
            overlap=None if self.overlap is None else self.overlap * _HOUR,
            is_enabled=self.enable if self.enable or self.disable else None,
        )


def _lessened(wish: Wish, parts: Sequence[Part]) -> Wish:
    """Wish for some parts to be taken away, too; raises AdminError for one that is also given."""
    for part in dict.fromkeys(parts):
        name, nothing = _NOTHING[part]
        if getattr(wish, name) is not None:
            raise Misuse(f"take --without {part}, or give one: not both")
        wish = replace(wish, **{name: nothing})
    return wish


def _secret(given: str | None) -> str | None:
    if given is None:
        return None
    text = new_secret() if given == _AUTO else text_of(given, "the secret")
    if not text:
        raise AdminError("the secret is empty: say auto, and one is drawn")
    return text


def _hmacs(given: Sequence[str]) -> tuple[Hmac, ...]:
    try:
        return tuple(parse_hmac(one) for one in given)
    except WebhookInvalid as error:
        raise AdminError(f"--hmac: {error}") from error
