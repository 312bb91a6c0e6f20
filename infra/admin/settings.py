"""What the commands are told: the app's own settings, or what a `make run` keeps."""

import json
from pathlib import Path

from infra.devhost.settings import ENVIRONMENT, STORAGE, StartError, apply_local_settings
from shared.settings import Settings

_APP = Path(__file__).parents[2]


class AdminError(Exception):
    """Why a command did nothing, in one line."""


def settings(data: Path | None) -> Settings:
    """Read the app's settings; with `data` those of the `make run` that keeps its state there."""
    if data is not None:
        mine = {STORAGE: "UseDevelopmentStorage=true", "REGISTRY_MASTER_KEY": _master_key(data)}
        return Settings.from_env({**ENVIRONMENT, **mine})
    try:
        apply_local_settings(_APP)
    except StartError as error:
        raise AdminError(str(error)) from error
    return Settings.from_env(ENVIRONMENT)


def _master_key(data: Path) -> str:
    try:
        return str(json.loads((data / "secrets.json").read_text())["master_key"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise AdminError(f"{data} is not the DATA of a make run: it has no secrets.json") from error
