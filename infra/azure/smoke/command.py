"""The command, and how it ends.

It ends with 0 where nothing differs from what is promised; what was not checked is listed, and is
no difference. It ends with 1 where something differs, and with 1 and one line on standard error
where it could not look at all; with 2 where it was called wrongly.
"""

import asyncio
import logging
import sys
from contextlib import ExitStack

import typer

from infra.admin.bundles import bundled
from infra.admin.opening import AdminError, Desk, desk
from infra.admin.output import Answer, Output, cell, show
from infra.azure.smoke.asking.wire import Server
from infra.azure.smoke.credentials import Login, NoCredentials, of_docker
from infra.azure.smoke.looking import Unreachable, look
from infra.azure.smoke.options import Format, Options, Reached, Where, Who
from infra.devhost.settings import ENVIRONMENT, StartError
from shared.settings import SettingsInvalid

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
@bundled
def smoke(
    there: Reached, who: Who, options: Options, where: Where, output: Format = Output.TABLE
) -> None:
    """Look whether the registry at LOGIN_SERVER keeps what this project promises.

    What it pushes goes into a repository smoke/RANDOM, and is deleted in the end.
    """
    logging.getLogger("azure.identity").setLevel(logging.ERROR)  # it warns of each way it tried
    server = Server(there.login_server, there.plain_http, there.connect)
    try:
        login = _login(there.login_server, who)
        with ExitStack() as stack:
            opened, why = _desk(stack, where)
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


def _login(server: str, who: Who) -> Login:
    """Find out who logs in; raises NoCredentials."""
    if not who.username and not who.password_stdin:
        return of_docker(server, ENVIRONMENT)
    if not (who.username and who.password_stdin):
        raise NoCredentials("give --username NAME and --password-stdin together, or neither")
    password = sys.stdin.read().rstrip("\r\n")
    if not password:
        raise NoCredentials("standard input has no password")
    return Login(who.username, password)


def _desk(stack: ExitStack, where: Where) -> tuple[Desk | None, str]:
    """Give where storage is read, or why it is not: that is no reason to look at nothing."""
    try:
        return stack.enter_context(desk(where.data, where.registry)), ""
    except SettingsInvalid as error:
        return None, f"no access to storage: {_line(error)}"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
