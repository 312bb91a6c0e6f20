"""admin-user: who is named as the registry, and may do everything."""

import sys
from collections.abc import Awaitable

import typer

from infra.admin.app import Group
from infra.admin.opening import AdminError, Desk
from infra.admin.output import Answer, said
from shared.auth.passwords import PASSWORD_LENGTH

admin_user = Group("admin-user", "The admin user, who is named as the registry.")


@admin_user.command("password")
def set_password(desk: Desk) -> Awaitable[Answer]:
    """Set the admin user's password, asked for or read from standard input; enable the user."""
    return _set(desk, _password())


@admin_user.command("disable")
async def disable(desk: Desk) -> Answer:
    """Let nobody in as the admin user, until a password is set."""
    async with desk.opened() as here:
        if not await here.accounts.disable(here.record.name):
            raise AdminError(f"registry {here.record.name} has no admin user")
    user = f"the admin user {desk.registry}"
    return said(
        f"{user} is disabled; the tokens that are out end in a minute", registry=desk.registry
    )


async def _set(desk: Desk, password: str) -> Answer:
    async with desk.opened() as here:
        await here.accounts.set_password(here.record.name, password)
    user = f"the admin user {desk.registry}"
    return said(
        f"{user} has a new password; the tokens of the old one end in a minute",
        registry=desk.registry,
    )


def _password() -> str:
    """Ask for a password, twice; or read it from standard input, if that is no terminal."""
    if sys.stdin.isatty():
        password = str(
            typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        )
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not 0 < len(password) <= PASSWORD_LENGTH:
        raise AdminError(f"a password has 1 to {PASSWORD_LENGTH} characters")
    return password
