"""`python -m infra.local`: the registry's app and its storage with one command."""

import asyncio
import fcntl
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from infra.devhost.storage import WELL_KNOWN
from shared import bootstrap
from shared.auth.accounts import Accounts
from shared.auth.passwords import Passwords
from shared.storage import keys
from shared.storage.azure.connections import opened_ports
from shared.storage.master_key.source import GivenKey
from shared.storage.rows.registries import RegistryRecord, RegistryRecords
from tests.devhost.conftest import REPOSITORY
from tests.support.waiting import until

pytestmark = [pytest.mark.emulator, pytest.mark.xdist_group("well_known_ports")]

APP = """
import asyncio, json, os

import azure.functions as func
from azure.storage.blob.aio import BlobServiceClient
from azurefunctions.extensions.http.fastapi import Request, Response

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def service():
    return BlobServiceClient.from_connection_string(os.environ["AzureWebJobsStorage"])


@app.route(route="settings", methods=["GET"])
async def settings(req: Request) -> Response:
    names = ("NAME", "ADMIN_PASSWORD", "MASTER_KEY", "LOGIN_SERVER")
    return Response(json.dumps([os.environ[f"REGISTRY_{name}"] for name in names]))


@app.route(route="kept", methods=["PUT"])
async def keep(req: Request) -> Response:
    await asyncio.sleep(float(req.query_params.get("after", 0)))
    async with service() as blobs:
        if not await blobs.get_container_client("kept").exists():
            await blobs.create_container("kept")
        await blobs.get_blob_client("kept", "b").upload_blob(await req.body(), overwrite=True)
    return Response("kept")


@app.route(route="kept", methods=["GET"])
async def kept(req: Request) -> Response:
    async with service() as blobs:
        stream = await blobs.get_blob_client("kept", "b").download_blob()
        return Response(await stream.readall())
"""


type Launch = Callable[..., Local]


class Local:
    """A running `python -m infra.local`, in a session of its own as under a terminal."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.data = folder / "data"
        self._output = folder / "output"
        app = folder / "app"
        app.mkdir(exist_ok=True)
        (app / "function_app.py").write_text(APP)
        (app / "host.json").write_text('{"extensions": {"http": {"routePrefix": ""}}}')
        given = {"DATA": str(self.data), "PORT": "0", **env}
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "infra.local", "--app", str(app)],
                cwd=REPOSITORY,
                env={**os.environ, **given},  # noqa: TID251 - a child's
                stdout=output,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )

    def until_ready(self) -> None:
        until(lambda: "Ctrl-C" in self.output() or self.process.poll() is not None, 30)
        assert self.process.poll() is None, self.end()

    def output(self) -> str:
        return self._output.read_text()

    @property
    def url(self) -> str:
        found = re.search(r"Login server:\s+localhost:(\d+)", self.output())
        assert found
        return f"http://127.0.0.1:{found[1]}"

    def settings(self) -> list[str]:
        values: list[str] = httpx.get(f"{self.url}/settings").json()
        return values

    def interrupt(self) -> tuple[int, str]:
        """Press Ctrl-C: the whole process group gets it."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.end()

    def end(self) -> tuple[int, str]:
        _, errors = self.process.communicate(timeout=30)
        return self.process.returncode, errors


@pytest.fixture(autouse=True)
def ports() -> Iterator[None]:
    """Take turns at the well-known ports with whoever else runs these tests on this machine."""
    turn = Path(tempfile.gettempdir()) / "registry-tests-well-known-ports.lock"
    with turn.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        until(are_free, 60)
        yield


def are_free() -> bool:
    for port in WELL_KNOWN:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return False
    return True


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    launched: list[Local] = []

    def begin(**env: str) -> Local:
        launched.append(Local(tmp_path, **env))
        return launched[-1]

    yield begin
    for local in launched:
        if local.process.poll() is None:
            local.process.kill()
            local.end()


@pytest.fixture
def local(launch: Launch) -> Local:
    running = launch()
    running.until_ready()
    return running


def test_it_says_who_may_log_in_and_how(local: Local) -> None:
    name, password, master_key, login_server = local.settings()
    server = local.url.replace("http://127.0.0.1", "localhost")
    output = local.output()
    assert f"Login server:  {server}\n" in output
    assert f"User name:     {name}\n" in output
    assert f"Password:      {password}\n" in output
    assert f"docker login {server} --username registry\n" in output
    assert output.count(password) == 1
    assert f"docker push {server}/" in output
    assert output.index("Functions:") < output.index("Login server:")
    assert (name, login_server) == ("registry", server)
    assert len(password) >= 32
    assert len(master_key) >= 32
    assert master_key not in output
    assert local.interrupt() == (0, "")


def test_secrets_are_kept_for_the_owner_alone(local: Local) -> None:
    (kept,) = [path for path in local.data.iterdir() if path.is_file()]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(local.data.stat().st_mode) == 0o700
    _, password, master_key, _ = local.settings()
    assert json.loads(kept.read_text()) == {
        "admin_password": password,
        "master_key": master_key,
    }


@pytest.mark.parametrize("way", ["ctrl-c", "SIGTERM", "SIGKILL"])
def test_restart_keeps_secrets_and_state(launch: Launch, local: Local, way: str) -> None:
    before = local.settings()
    assert httpx.put(f"{local.url}/kept", content=b"state").text == "kept"
    if way == "ctrl-c":
        assert local.interrupt() == (0, "")
    elif way == "SIGTERM":
        local.process.terminate()
        assert local.end() == (0, "")
    else:
        local.process.kill()
        local.end()
        until(are_free)
    assert are_free()
    again = launch()
    again.until_ready()
    assert again.settings()[:3] == before[:3]
    assert httpx.get(f"{again.url}/kept").content == b"state"
    assert again.interrupt() == (0, "")


def test_storage_stays_until_the_last_request_is_answered(local: Local) -> None:
    answers: list[str] = []
    address = f"{local.url}/kept?after=1.5"
    client = threading.Thread(target=lambda: answers.append(httpx.put(address, content=b"x").text))
    client.start()
    until(lambda: "Executing 'Functions.keep'" in local.output())
    assert local.interrupt() == (0, "")
    client.join()
    assert answers == ["kept"]


def test_given_name_and_password_are_used_and_not_kept(launch: Launch) -> None:
    given = {"ADMIN_PASSWORD": "it's mine", "NAME": "mine5", "LOGIN_SERVER": "reg.example"}
    local = launch(**{f"REGISTRY_{name}": value for name, value in given.items()})
    local.until_ready()
    assert local.settings()[:2] == ["mine5", "it's mine"]
    assert local.settings()[3] == "reg.example"
    assert "Password:      it's mine\n" in local.output()
    assert "--username mine5\n" in local.output()
    assert local.interrupt() == (0, "")
    again = launch()
    again.until_ready()
    assert again.settings()[:2] != ["mine5", "it's mine"]
    assert again.interrupt() == (0, "")


async def make_registry(master_key: str, password: str) -> None:
    """Do what the app does at its first request."""
    async with opened_ports({"": "UseDevelopmentStorage=true"}) as (rows, _, _, beside):
        await rows.prepare([keys.REGISTRIES, keys.ACCOUNTS])
        await beside.prepare()
        record = RegistryRecord("registry", "g" * 32, ())
        await RegistryRecords(rows, beside, GivenKey(master_key)).create(record, bootstrap.now())
        accounts = Accounts(rows, record.generation, Passwords(), bootstrap.new_id)
        await accounts.create("registry", password)


def test_a_password_that_is_not_the_stored_one_stops_the_start(
    launch: Launch, local: Local
) -> None:
    _, password, master_key, _ = local.settings()
    asyncio.run(make_registry(master_key, password))
    admin = [sys.executable, "-m", "infra.admin", "--data", str(local.data)]
    subprocess.run(
        [*admin, "admin-user", "password"], input="second\n", text=True, cwd=REPOSITORY, check=True
    )
    assert local.interrupt() == (0, "")

    code, errors = launch(REGISTRY_ADMIN_PASSWORD="first").end()
    assert (code, errors.count("\n")) == (1, 1)
    assert errors.startswith("run: REGISTRY_ADMIN_PASSWORD is not the password of registry")
    assert f"python -m infra.admin --data {local.data} admin-user password" in errors
    assert are_free()

    again = launch(REGISTRY_ADMIN_PASSWORD="second")
    again.until_ready()
    assert "Password:      second\n" in again.output()
    assert again.interrupt() == (0, "")
    last = launch()
    last.until_ready()
    assert "Password:      not the one that DATA keeps; to set another: " in last.output()
    assert password not in last.output()
    assert last.interrupt() == (0, "")


@pytest.mark.parametrize(
    ("env", "complaint"),
    [
        ({"PORT": "abc"}, "PORT=abc is not a port (0-65535)"),
        ({"PORT": "-1"}, "PORT=-1 is not a port (0-65535)"),
        ({"PORT": "65536"}, "PORT=65536 is not a port (0-65535)"),
        ({"REGISTRY_NAME": "My-Registry"}, "is not 5 to 50 lower-case letters and digits"),
        ({"REGISTRY_NAME": "four"}, "is not 5 to 50 lower-case letters and digits"),
        ({"DATA": "/proc/nowhere"}, "DATA=/proc/nowhere cannot be used: "),
        ({"DATA": __file__}, "cannot be used: File exists"),
    ],
)
def test_wrong_setting_is_one_line(launch: Launch, env: dict[str, str], complaint: str) -> None:
    began = time.monotonic()
    local = launch(**env)
    code, errors = local.end()
    assert code == 1
    assert errors.startswith("run: ")
    assert complaint in errors
    assert errors.count("\n") == 1
    assert time.monotonic() - began < 5
    assert not local.data.exists()


def test_damaged_secrets_are_one_line(launch: Launch, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "secrets.json").write_text("{}")
    code, errors = launch().end()
    assert (code, errors.count("\n")) == (1, 1)
    assert "secrets.json is damaged" in errors


@pytest.mark.parametrize("port", [0, *WELL_KNOWN])
def test_busy_port_is_one_line(launch: Launch, port: int) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        busy = taken.getsockname()[1]
        code, errors = launch(PORT="0" if port else str(busy)).end()
    needed = "the storage emulator needs it: end what has it (another make run?)"
    advice = needed if port else "take another with PORT="
    told = f"run: port {busy} cannot be used: Address already in use; {advice}\n"
    assert (code, errors) == (1, told)


def test_an_emulator_that_dies_ends_the_registry_with_one_line(launch: Launch) -> None:
    local = launch()
    local.until_ready()
    listed = ["ps", "-o", "pid=", "--ppid", str(local.process.pid)]
    (emulator,) = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split()
    os.kill(int(emulator), signal.SIGKILL)
    code, errors = local.end()
    assert (code, errors) == (1, "run: the storage emulator ended by itself (-9)\n")


def test_broken_app_stops_the_storage_again(launch: Launch, tmp_path: Path) -> None:
    local = launch()
    (tmp_path / "app" / "function_app.py").write_text("import nonsense")
    code, errors = local.end()
    assert (code, errors.count("\n")) == (1, 1)
    assert "run: the app cannot be loaded: ModuleNotFoundError" in errors
    assert are_free()
