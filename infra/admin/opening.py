"""What commands work on: the storage and the settings of the app, or those of a `make run`.

With the DATA of a `make run` a command works beside it while it runs. Where it does not, the
storage emulator is started over DATA for as long as the command takes.
"""

import json
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.devhost.settings import ENVIRONMENT, STORAGE, apply_local_settings
from infra.devhost.storage import Azurite, InUse, offered
from shared.administration import Administration, administration
from shared.settings import Settings

_APP = Path(__file__).parents[2]
_WAIT_SECONDS = 0.2


class AdminError(Exception):
    """Why a command did nothing, in one line."""


class Misuse(AdminError):
    """How a command was called wrongly: what it was given does not go together, or lacks a part."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a command works: the settings, and the name of the registry that it is about."""

    settings: Settings
    registry: str

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Administration]:
        """Open the registry; raises AdminError where there is none."""
        async with administration(self.settings, self.registry) as here:
            if here is None:
                raise AdminError(
                    f"there is no registry {self.registry} in this storage: the app makes it at its"
                    " first request (GET /v2/ will do); another is named with --registry"
                )
            yield here


@contextmanager
def desk(data: Path | None, registry: str) -> Iterator[Desk]:
    """Prepare the work of one command; raises AdminError, StartError, SettingsInvalid."""
    if data is None:
        yield _desk(_environment(), registry)
        return
    kept = {"REGISTRY_MASTER_KEY": _master_key(data)}
    with _storage(data / "azurite") as connection:
        own = {**ENVIRONMENT, **kept, STORAGE: connection}
        own.pop("REGISTRY_KEY_VAULT_KEY", None)  # a `make run` has none
        yield _desk(own, registry)


def _desk(env: Mapping[str, str], registry: str) -> Desk:
    settings = Settings.from_env(env)
    return Desk(settings, registry or settings.registry_name)


def _environment() -> Mapping[str, str]:
    apply_local_settings(_APP)
    return ENVIRONMENT


def _master_key(data: Path) -> str:
    try:
        return str(json.loads((data / "secrets.json").read_text())["master_key"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise AdminError(f"{data} is not the DATA of a make run: it has no secrets.json") from error


@contextmanager
def _storage(folder: Path) -> Iterator[str]:
    """Give the connection string of the emulator over a folder; start one where none runs."""
    is_told = False
    while (connection := offered(folder)) is None:
        emulator = Azurite(folder)
        try:
            emulator.start()
        except InUse:
            if not is_told:
                print(f"admin: another command works on {folder}: waiting", file=sys.stderr)
            is_told = True
            time.sleep(_WAIT_SECONDS)
            continue
        try:
            yield emulator.connection_string
        finally:
            emulator.stop()
        return
    yield connection
