"""Who logs in: as docker has it, in all its ways."""

import base64
import json
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from infra.azure.smoke.credentials import Login, NoCredentials, of_docker
from tests.support.tools import SYSTEM_PATH

SERVER = "registry.example.com"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment in which docker's folder and programs are the test's."""
    return {"DOCKER_CONFIG": str(tmp_path), "PATH": f"{tmp_path}:{SYSTEM_PATH}"}


def write(folder: Path, **config: object) -> None:
    (folder / "config.json").write_text(json.dumps(config))


def auth(text: str) -> Mapping[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


def helper(folder: Path, name: str, script: str) -> None:
    program = folder / f"docker-credential-{name}"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize("key", [SERVER, f"https://{SERVER}", f"https://{SERVER}/v2/"])
def test_a_password_in_auths_is_taken(env: dict[str, str], tmp_path: Path, key: str) -> None:
    write(tmp_path, auths={key: auth("registry:pass:word")})
    assert of_docker(SERVER, env) == Login("registry", "pass:word")


def test_an_identity_token_is_taken_in_place_of_a_password(
    env: dict[str, str], tmp_path: Path
) -> None:
    write(tmp_path, auths={SERVER: {**auth("registry:"), "identitytoken": "a token"}})
    assert of_docker(SERVER, env).identity_token == "a token"


def test_the_home_of_the_user_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    write(tmp_path / ".docker", auths={SERVER: auth("registry:password")})
    assert of_docker(SERVER, {"HOME": str(tmp_path)}) == Login("registry", "password")


@pytest.mark.parametrize("config", [{"credsStore": "own"}, {"credHelpers": {SERVER: "own"}}])
def test_docker_s_program_is_asked(
    env: dict[str, str], tmp_path: Path, config: dict[str, object]
) -> None:
    helper(
        tmp_path,
        "own",
        f'test "$1" = get && test "$(cat)" = {SERVER} || exit 1\n'
        """echo '{"Username": "registry", "Secret": "password"}'""",
    )
    write(tmp_path, **config)
    assert of_docker(SERVER, env) == Login("registry", "password")


def test_a_program_for_one_server_goes_before_that_for_all(
    env: dict[str, str], tmp_path: Path
) -> None:
    helper(tmp_path, "one", """echo '{"Username": "<token>", "Secret": "a token"}'""")
    write(tmp_path, credsStore="missing", credHelpers={SERVER: "one"})
    assert of_docker(SERVER, env).identity_token == "a token"


def test_what_the_program_does_not_know_may_be_in_auths(
    env: dict[str, str], tmp_path: Path
) -> None:
    helper(tmp_path, "own", "echo 'credentials not found in native keychain'; exit 1")
    write(tmp_path, credsStore="own", auths={SERVER: auth("registry:password")})
    assert of_docker(SERVER, env) == Login("registry", "password")


def test_a_program_that_gives_something_else_knows_nothing(
    env: dict[str, str], tmp_path: Path
) -> None:
    helper(tmp_path, "own", "echo '[]'")
    write(tmp_path, credsStore="own")
    with pytest.raises(NoCredentials, match="has no credentials of"):
        of_docker(SERVER, env)


def test_nobody_hears_what_to_do(env: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(NoCredentials, match=f"docker login {SERVER}, or give --username"):
        of_docker(SERVER, env)
    write(tmp_path, auths={"another.example.com": auth("registry:password")})
    with pytest.raises(NoCredentials, match="has no credentials of"):
        of_docker(SERVER, env)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("{", "config.json cannot be read"),
        (json.dumps({"auths": {SERVER: {"auth": "!"}}}), "not base64"),
        (json.dumps({"credsStore": "missing"}), "docker-credential-missing, which docker's"),
    ],
)
def test_what_cannot_be_read_is_named(
    env: dict[str, str], tmp_path: Path, config: str, told: str
) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(NoCredentials, match=told):
        of_docker(SERVER, env)


@pytest.mark.parametrize("config", ["[]", '{"auths": []}', '{"auths": {"x": 1}, "credsStore": 2}'])
def test_a_config_of_another_form_has_no_credentials(
    env: dict[str, str], tmp_path: Path, config: str
) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(NoCredentials, match="has no credentials"):
        of_docker(SERVER, env)


def test_a_login_shows_no_secret() -> None:
    assert "secret" not in repr(Login("registry", "secret", "secret"))
