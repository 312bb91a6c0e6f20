"""What `make run` is told in the environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from infra.devhost.host import DEFAULT_PORT
from infra.devhost.http.front import program_at
from infra.devhost.settings import StartError

_REGISTRY_NAME = re.compile(r"[a-z0-9]{5,50}")
_HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Options:
    """PORT, DATA, FRONT, REGISTRY_NAME and REGISTRY_ADMIN_PASSWORD, checked."""

    port: int
    data: Path
    registry_name: str
    admin_password: str | None
    front: Path | None

    @classmethod
    def read(cls, env: Mapping[str, str], app: Path) -> Self:
        """Read them for the app in this folder; one that is empty counts as not given."""
        port = env.get("PORT") or str(DEFAULT_PORT)
        if not (port.isascii() and port.isdecimal() and int(port) <= _HIGHEST_PORT):
            raise StartError(f"PORT={port} is not a port (0-{_HIGHEST_PORT})")
        name = env.get("REGISTRY_NAME") or "registry"
        if not _REGISTRY_NAME.fullmatch(name):
            raise StartError(f"REGISTRY_NAME={name} is not 5 to 50 lower-case letters and digits")
        data = Path(env.get("DATA") or ".data").expanduser().resolve()
        if data.is_relative_to(app) and not data.is_relative_to(app / ".data"):
            raise StartError(
                f"DATA={data} would be published with the app, passwords included:"
                f" take {app / '.data'}, or a folder outside of {app}"
            )
        front = program_at(Path(env["FRONT"]).expanduser()) if env.get("FRONT") else None
        return cls(int(port), data, name, env.get("REGISTRY_ADMIN_PASSWORD") or None, front)
