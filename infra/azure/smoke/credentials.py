"""Credentials: who logs in, as docker has it or as it is given.

docker keeps them in `config.json` of its folder (DOCKER_CONFIG, or `.docker` at home): in `auths`,
or with a program of its own, named by `credHelpers` for one server and by `credsStore` for all. In
place of a password it may have an identity token, which is good for tokens alone.
"""

import base64
import binascii
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_HELPER_SECONDS = 30
_TOKEN = "<token>"  # noqa: S105 - docker's word in the place of a name


class NoCredentials(Exception):
    """Nobody can log in; says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Login:
    """A user with a password, or an identity token."""

    name: str
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """Give the header for the password."""
        return basic(self.name, self.password)


def basic(name: str, password: str) -> str:
    """Write `Authorization: Basic`."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def of_docker(server: str, env: Mapping[str, str]) -> Login:
    """Read what docker knows of a login server; raises NoCredentials."""
    folder = Path(env.get("DOCKER_CONFIG") or Path(env.get("HOME", "")) / ".docker")
    file = folder / "config.json"
    config = _config(file)
    helper = _text(_object(config, "credHelpers"), server) or _text(config, "credsStore")
    found = _asked(helper, server, env) if helper else None
    if found is None:
        found = _kept(_object(config, "auths"), server, file)
    if found is None:
        raise NoCredentials(
            f"{file} has no credentials of {server}: docker login {server}, or give --username"
            " NAME and the password by --password-stdin"
        )
    return found


def _config(file: Path) -> Mapping[str, Any]:
    try:
        config = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise NoCredentials(f"{file} cannot be read: {error}") from error
    return config if isinstance(config, dict) else {}


def _object(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = config.get(key)
    return value if isinstance(value, dict) else {}


def _text(config: Mapping[str, Any], key: str) -> str:
    value = config.get(key)
    return value if isinstance(value, str) else ""


def _kept(auths: Mapping[str, Any], server: str, file: Path) -> Login | None:
    """Read `auths`, where older clients wrote the server as an address."""
    for name in (server, f"https://{server}", f"http://{server}", f"https://{server}/v2/"):
        entry = _object(auths, name)
        if token := _text(entry, "identitytoken"):
            return Login(_TOKEN, identity_token=token)
        if auth := _text(entry, "auth"):
            return _decoded(auth, file)
    return None


def _decoded(auth: str, file: Path) -> Login:
    try:
        name, _, password = base64.b64decode(auth, validate=True).decode().partition(":")
    except (binascii.Error, ValueError) as error:
        raise NoCredentials(f"{file} holds an `auth` that is not base64: log in again") from error
    return Login(name, password.rstrip("\0"))


def _asked(helper: str, server: str, env: Mapping[str, str]) -> Login | None:
    """Ask the program that docker asks; None where it knows nothing of this server."""
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run(  # noqa: S603 - the one that docker would run
            [program, "get"],
            input=server.encode(),
            capture_output=True,
            timeout=_HELPER_SECONDS,
            env=dict(env),
            check=False,
        )
        said = json.loads(done.stdout) if not done.returncode else {}
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise NoCredentials(
            f"{program}, which docker's config.json names, gave no credentials: {error}"
        ) from error
    answer = said if isinstance(said, dict) else {}
    name, secret = _text(answer, "Username"), _text(answer, "Secret")
    if not secret:
        return None
    return Login(name, identity_token=secret) if name == _TOKEN else Login(name, secret)
