"""The commands: each opens one registry, changes it, and says what it did."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from infra.admin.settings import AdminError, settings
from shared.auth.passwords import PASSWORD_LENGTH
from shared.auth.tokens import retirement
from shared.bootstrap import Administration, administration, now
from shared.settings import Settings, SettingsInvalid
from shared.storage.ports import StorageError
from shared.storage.rows.registries import StateRefused

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
admin_user = typer.Typer(no_args_is_help=True, help="The admin user, who is named as the registry.")
signing_key = typer.Typer(no_args_is_help=True, help="The key that signs a registry's tokens.")
whole = typer.Typer(no_args_is_help=True, help="A registry as a whole.")
app.add_typer(whole, name="registry")
app.add_typer(admin_user, name="admin-user")
app.add_typer(signing_key, name="signing-key")

Registry = Annotated[  # no `type` statement: behind one typer finds neither name nor help
    str, typer.Option(metavar="NAME", help="Which registry; REGISTRY_NAME, unless given.")
]


@app.callback()
def main(
    context: typer.Context,
    data: Annotated[
        Path | None,
        typer.Option(help="The DATA of a `make run` that runs now: its storage and master key."),
    ] = None,
) -> None:
    """Work on a registry, with the settings of the app, from the environment."""
    context.obj = data


@admin_user.command("password")
def set_password(context: typer.Context, registry: Registry = "") -> None:
    """Set the admin user's password, asked for or read from standard input; enable the user."""
    password = _password()

    async def change(here: Administration) -> str:
        await here.accounts.set_password(here.record.name, password)
        user = f"the admin user {here.record.name}"
        return f"{user} has a new password; the tokens of the old one end in a minute"

    _run(context.obj, registry, change)


@admin_user.command("disable")
def disable(context: typer.Context, registry: Registry = "") -> None:
    """Let nobody in as the admin user, until a password is set."""

    async def change(here: Administration) -> str:
        if not await here.accounts.disable(here.record.name):
            raise AdminError(f"registry {here.record.name} has no admin user")
        user = f"the admin user {here.record.name}"
        return f"{user} is disabled; the tokens that are out end in a minute"

    _run(context.obj, registry, change)


@signing_key.command("rotate")
def rotate(
    context: typer.Context,
    registry: Registry = "",
    *,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Refuse all tokens that are out: the key has leaked.")
    ] = False,
) -> None:
    """Make a new signing key; the one before it is accepted until its tokens have ended."""

    async def change(here: Administration) -> str:
        keys = here.record.signing_keys
        ends = retirement(keys)
        retired = [it.kid for it in keys if at_once or (it.kid in ends and ends[it.kid] < now())]
        kid = await here.records.rotate(here.record, now(), retired)
        return f"{here.record.name} has the new key {kid}; {len(retired)} older ones are removed"

    _run(context.obj, registry, change)


@whole.command("resume")
def resume(context: typer.Context, registry: Registry = "") -> None:
    """Remove again what is not used, which stopped as tables were lost: they are complete."""

    async def change(here: Administration) -> str:
        if not await here.halt.lift():
            raise AdminError("nothing was halted in this storage")
        return "what is not used is removed again, in all registries of this storage"

    _run(context.obj, registry, change)


def _run(
    data: Path | None, registry: str, change: Callable[[Administration], Awaitable[str]]
) -> None:
    """Open the registry and change it; a failure is one line."""
    try:
        print(asyncio.run(_changed(settings(data), registry, change)))
    except (AdminError, SettingsInvalid, StateRefused) as error:
        _fail(str(error))
    except StorageError as error:
        _fail(f"{error}; does the `make run` of {data} run?" if data else str(error))


async def _changed(
    chosen: Settings, registry: str, change: Callable[[Administration], Awaitable[str]]
) -> str:
    name = registry or chosen.registry_name
    async with administration(chosen, name) as here:
        if here is None:
            raise AdminError(
                f"there is no registry {name} in this storage: the app makes it when first asked"
            )
        return await change(here)


def _password() -> str:
    """Ask for a password, twice; or read it from standard input, if that is no terminal."""
    if sys.stdin.isatty():
        password = str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not 0 < len(password) <= PASSWORD_LENGTH:
        _fail(f"a password has 1 to {PASSWORD_LENGTH} characters")
    return password


def _fail(message: str) -> NoReturn:
    typer.echo(f"admin: {message}", err=True)
    raise typer.Exit(1)
