"""The options: what the command is told of a deployment, of who asks, and of where to look."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.admin.output import Output
from infra.azure.smoke.asking.bodies import GIB, KIB, MIB
from infra.azure.smoke.asking.monitor import App
from shared.model.login_server import read_login_server

_SIZE = re.compile(r"(\d{1,15})(|KiB|MiB|GiB)", re.ASCII)
_UNITS = {"": 1, "KiB": KIB, "MiB": MIB, "GiB": GIB}


def size(given: str | int) -> int:
    """Read a number of bytes, with a unit or without."""
    found = _SIZE.fullmatch(str(given))
    if not found:
        raise typer.BadParameter(f"{given} is no size: 64MiB, for one, or a number of bytes")
    return int(found[1]) * _UNITS[found[2]]


def _server(text: str) -> str:
    name = read_login_server(text)
    if name is None:
        raise typer.BadParameter(f"{text} is no login server: HOST or HOST:PORT, without https://")
    return name


def _app(text: str) -> App:
    app = App.read(text)
    if app is None:
        raise typer.BadParameter(
            f"{text} is no resource id of a function app or a container app: /subscriptions/…"
        )
    return app


def _bytes(told: str) -> Any:
    return typer.Option(metavar="SIZE", parser=size, help=told)


def _seconds(told: str, *names: str) -> Any:
    return typer.Option(*names, metavar="SECONDS", min=0, help=told)


@dataclass(frozen=True, slots=True)
class Reached:
    """The login server, and how it is reached."""

    login_server: Annotated[
        str,
        typer.Argument(
            metavar="LOGIN_SERVER", parser=_server, help="The name that clients write: HOST[:PORT]."
        ),
    ]
    plain_http: Annotated[
        bool, typer.Option("--plain-http", help="Speak HTTP without TLS, as with make run.")
    ] = False
    connect: Annotated[
        str,
        typer.Option(
            metavar="HOST[:PORT]", help="Connect there, whatever the name leads to in DNS."
        ),
    ] = ""


@dataclass(frozen=True, slots=True)
class Who:
    """Who logs in."""

    username: Annotated[
        str, typer.Option("--username", help="Who logs in; docker's credentials, unless given.")
    ] = ""
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False


@dataclass(frozen=True, slots=True)
class Options:
    """What is expected of the deployment, and how long and how large things are tried.

    `limit` is the FUNCTIONS_REQUEST_BODY_SIZE_LIMIT of a host that has one; 0 is one that streams.
    `waits` is for how long what comes later is waited for, `cold` for how long nothing is asked
    before the first request that is measured.
    """

    limit: Annotated[
        int, _bytes("The host's FUNCTIONS_REQUEST_BODY_SIZE_LIMIT; without it the host streams.")
    ] = 0
    largest: Annotated[int, _bytes("The largest body to push.")] = GIB // 2
    slow: Annotated[float, _seconds("How long the slow upload takes.")] = 260
    cold: Annotated[float, _seconds("How long to ask nothing before the first.")] = 0
    requests: Annotated[
        int, typer.Option(metavar="N", min=2, help="How many warm requests are measured.")
    ] = 200
    receiver: Annotated[
        str, typer.Option(metavar="URL", help="A receiver of webhooks, which answers a POST.")
    ] = ""
    resource: Annotated[
        App | None,
        typer.Option(
            metavar="ID", parser=_app, help="The app that serves HTTP in Azure, for its memory."
        ),
    ] = None
    waits: Annotated[
        float, _seconds("How long a verification, a call or a figure may take.", "--wait")
    ] = 300


@dataclass(frozen=True, slots=True)
class Where:
    """Where storage is read."""

    data: Annotated[
        Path | None, typer.Option(help="The DATA of a make run, in place of the app's settings.")
    ] = None
    registry: Annotated[
        str,
        typer.Option(metavar="NAME", help="The registry's name; REGISTRY_NAME, unless given."),
    ] = ""


Format = Annotated[Output, typer.Option("-o", "--output", help="Tables, or one JSON document.")]
