"""The command: its options, and how it ends.

It ends with 0 where nothing differs from what is promised; what was not checked is listed, and is
no difference. It ends with 1 where something differs, and with 1 and one line on standard error
where it could not look at all; with 2 where it was called wrongly.
"""

import asyncio
import re
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from infra.admin.opening import AdminError, Desk, desk
from infra.admin.output import Answer, Output, cell, show
from infra.azure.smoke.bodies import GIB, KIB, MIB
from infra.azure.smoke.credentials import Login, NoCredentials, of_docker
from infra.azure.smoke.looking import Unreachable, look
from infra.azure.smoke.site import Options
from infra.azure.smoke.wire import Server
from infra.devhost.settings import ENVIRONMENT, StartError
from shared.model.login_server import read_login_server
from shared.settings import SettingsInvalid

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

_SIZE = re.compile(r"(\d{1,15})(|KiB|MiB|GiB)", re.ASCII)
_UNITS = {"": 1, "KiB": KIB, "MiB": MIB, "GiB": GIB}
_USUAL = Options()


def _size(given: str | int) -> int:
    found = _SIZE.fullmatch(str(given))
    if not found:
        raise typer.BadParameter(f"{given} is no size: 64MiB, for one, or a number of bytes")
    return int(found[1]) * _UNITS[found[2]]


def _server(text: str) -> str:
    name = read_login_server(text)
    if name is None:
        raise typer.BadParameter(f"{text} is no login server: HOST or HOST:PORT, without https://")
    return name


@app.command()
def smoke(  # noqa: PLR0913 - an option each
    login_server: Annotated[
        str,
        typer.Argument(
            metavar="LOGIN_SERVER", parser=_server, help="The name that clients write: HOST[:PORT]."
        ),
    ],
    *,
    username: Annotated[
        str, typer.Option("--username", help="Who logs in; docker's credentials, unless given.")
    ] = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    plain_http: Annotated[
        bool, typer.Option("--plain-http", help="Speak HTTP without TLS, as with make run.")
    ] = False,
    connect: Annotated[
        str,
        typer.Option(
            metavar="HOST[:PORT]", help="Connect there, whatever the name leads to in DNS."
        ),
    ] = "",
    limit: Annotated[
        int,
        typer.Option(
            metavar="SIZE",
            parser=_size,
            help="The host's FUNCTIONS_REQUEST_BODY_SIZE_LIMIT; without it the host streams.",
        ),
    ] = _USUAL.limit,
    largest: Annotated[
        int, typer.Option(metavar="SIZE", parser=_size, help="The largest body to push.")
    ] = _USUAL.largest,
    slow: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long the slow upload takes.")
    ] = _USUAL.slow,
    cold: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0, help="How long to ask nothing before the first."),
    ] = _USUAL.cold,
    requests: Annotated[
        int, typer.Option(metavar="N", min=2, help="How many warm requests are measured.")
    ] = _USUAL.requests,
    receiver: Annotated[
        str,
        typer.Option(metavar="URL", help="A receiver of webhooks, which answers a POST with 2xx."),
    ] = "",
    waits: Annotated[
        float,
        typer.Option(
            "--wait", metavar="SECONDS", min=0, help="How long a verification, or a call, may take."
        ),
    ] = _USUAL.waits,
    data: Annotated[
        Path | None, typer.Option(help="The DATA of a make run, in place of the app's settings.")
    ] = None,
    registry: Annotated[
        str, typer.Option(metavar="NAME", help="The registry's name; REGISTRY_NAME, unless given.")
    ] = "",
    output: Annotated[
        Output, typer.Option("-o", "--output", help="Tables, or one JSON document.")
    ] = Output.TABLE,
) -> None:
    """Look whether the registry at LOGIN_SERVER keeps what this project promises.

    What it pushes goes into a repository smoke/RANDOM, and is deleted in the end.
    """
    server = Server(login_server, plain_http, connect)
    options = Options(largest, limit, slow, cold, waits, requests, receiver)
    try:
        login = _login(login_server, username, is_typed=password_stdin)
        with ExitStack() as stack:
            opened, why = _desk(stack, data, registry)
            answer = asyncio.run(_shown(server, login, options, opened, why, output))
    except (AdminError, NoCredentials, StartError, Unreachable) as error:
        typer.echo(f"smoke: {cell(_line(error))}", err=True)
        raise typer.Exit(1) from None
    if not answer.is_done:
        raise typer.Exit(1)


async def _shown(
    server: Server, login: Login, options: Options, desk: Desk | None, why: str, output: Output
) -> Answer:
    answer = await look(server, login, options, desk, why)
    await show(answer, output)
    return answer


def _login(server: str, username: str, *, is_typed: bool) -> Login:
    """Find out who logs in; raises NoCredentials."""
    if not username and not is_typed:
        return of_docker(server, ENVIRONMENT)
    if not (username and is_typed):
        raise NoCredentials("give --username NAME and --password-stdin together, or neither")
    password = sys.stdin.read().rstrip("\r\n")
    if not password:
        raise NoCredentials("standard input has no password")
    return Login(username, password)


def _desk(stack: ExitStack, data: Path | None, registry: str) -> tuple[Desk | None, str]:
    """Give where storage is read, or why it is not: that is no reason to look at nothing."""
    try:
        return stack.enter_context(desk(data, registry)), ""
    except SettingsInvalid as error:
        return None, f"no access to storage: {_line(error)}"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
