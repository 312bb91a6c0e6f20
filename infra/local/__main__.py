"""python -m infra.local: the storage emulator and the registry, in the foreground until Ctrl-C."""

import argparse
import asyncio
from functools import partial
from pathlib import Path

from infra.devhost.command import command, serve
from infra.devhost.host import Host
from infra.devhost.http.server import bind
from infra.devhost.settings import ENVIRONMENT, STORAGE, StartError
from infra.devhost.storage import WELL_KNOWN, Azurite
from infra.local.banner import banner, login_server
from infra.local.options import Options
from infra.local.secrets import keep
from infra.local.stored import command_line, is_password

_REPOSITORY = Path(__file__).parents[2]
_BODY_LIMIT = 10 * 1024**3


def main() -> None:
    """Check everything first; then start the storage, then the registry."""
    parser = argparse.ArgumentParser(prog="python -m infra.local", description=__doc__)
    parser.add_argument("--app", type=Path, default=_REPOSITORY, help="the app's folder")
    app = parser.parse_args().app.resolve()
    with command("run"):
        options = Options.read(ENVIRONMENT, app)
        port = _free(options.port, "take another with PORT=")
        for needed in WELL_KNOWN:
            _free(needed, "the storage emulator needs it: end what has it (another make run?)")
        kept = keep(options.data)
        password = options.admin_password or kept.admin_password
        _hand_over(options.registry_name, password, kept.master_key, login_server(port))
        if options.front is None:  # behind it the limit is Azure's, since it takes bodies whole
            ENVIRONMENT.setdefault("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", str(_BODY_LIMIT))
        with Azurite(options.data / "azurite", WELL_KNOWN) as storage:
            storage.offer()
            is_right = is_password(options.registry_name, password)
            change = command_line(options.data, options.registry_name)
            if options.admin_password and not is_right:
                raise StartError(
                    f"REGISTRY_ADMIN_PASSWORD is not the password of {options.registry_name}, and"
                    " only creates it: leave it out, and change the password while the registry"
                    f" runs, with {change}"
                )
            shown = password if is_right else None
            say = partial(_banner, user=options.registry_name, password=shown, change=change)
            running = serve(app, port, banner=say, front=options.front, until=storage.watch)
            asyncio.run(running)


def _free(port: int, advice: str) -> int:
    """Give this port, which has to be free; for 0 any that is."""
    try:
        with bind(port) as listening:
            return int(listening.getsockname()[1])
    except StartError as error:
        raise StartError(f"{error}; {advice}") from error


def _hand_over(name: str, password: str, master_key: str, server: str) -> None:
    ENVIRONMENT[STORAGE] = "UseDevelopmentStorage=true"
    ENVIRONMENT["REGISTRY_NAME"] = name
    ENVIRONMENT["REGISTRY_ADMIN_PASSWORD"] = password
    ENVIRONMENT["REGISTRY_MASTER_KEY"] = master_key
    ENVIRONMENT["REGISTRY_LOGIN_SERVER"] = ENVIRONMENT.get("REGISTRY_LOGIN_SERVER") or server
    # What the host keeps in DATA is to be found again if the repository is moved.
    ENVIRONMENT.setdefault("AzureFunctionsWebHost__hostid", "local")


def _banner(host: Host, user: str, password: str | None, change: str) -> str:
    return banner(host.port, user, password, change)


if __name__ == "__main__":
    main()
