"""What the storage of `make run` holds already, asked before the registry starts."""

import asyncio
import shlex
from pathlib import Path

from infra.devhost.settings import ENVIRONMENT, StartError
from shared.administration import administration
from shared.settings import Settings, SettingsInvalid
from shared.start import read_settings
from shared.storage.ports import StorageError
from shared.storage.rows.registries import StateRefused


def is_password(name: str, password: str) -> bool:
    """Tell whether the admin user logs in with this password, or will; raises StartError."""
    try:
        return asyncio.run(_fits(read_settings(ENVIRONMENT), name, password))
    except (SettingsInvalid, StateRefused, StorageError) as error:
        raise StartError(str(error)) from error


def command_line(data: Path, name: str) -> str:
    """Give the command that changes the admin user's password."""
    arguments = ["--data", str(data), "admin-user", "password", "--registry", name]
    return f".venv/bin/python -m infra.admin {shlex.join(arguments)}"


async def _fits(settings: Settings, name: str, password: str) -> bool:
    async with administration(settings, name) as here:
        if here is None:
            return True
        return await here.accounts.has_password(name, password) is not False
