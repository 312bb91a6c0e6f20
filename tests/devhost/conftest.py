"""The emulator, and dev hosts on the sample app, each in a process of its own."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.devhost.storage import Azurite
from tests.support.waiting import until

REPOSITORY = Path(__file__).parents[2]
HOST_JSON: Mapping[str, Any] = {
    "version": "2.0",
    "extensions": {
        "http": {"routePrefix": "", "customHeaders": {"X-Custom": "host", "X-Other": "host"}},
        "queues": {"maxPollingInterval": "00:00:01", "maxDequeueCount": 2},
        "blobs": {"poisonBlobThreshold": 2},
    },
}

type Start = Callable[..., "DevHost"]


class DevHost:
    """A running `python -m infra.devhost`; its output goes to a file."""

    def __init__(
        self, app: Path, *arguments: str, module: str = "infra.devhost", **env: str
    ) -> None:
        self.app, self._output = app, app / f"{uuid.uuid4()}.log"
        self.notes_file = app / "notes"
        self.env = {**os.environ, "NOTES": str(self.notes_file), **env}  # noqa: TID251 - a child's
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, "--app", str(app), *arguments],
                cwd=REPOSITORY,
                env=self.env,
                stdout=output,
                stderr=subprocess.PIPE,
                text=True,
            )

    @property
    def url(self) -> str:
        found = re.search(r"http://localhost:(\d+)", self.output())
        assert found
        return f"http://127.0.0.1:{found[1]}"

    def output(self) -> str:
        return self._output.read_text()

    def until_printed(self, text: str, seconds: float = 20) -> None:
        until(lambda: text in self.output() or self.process.poll() is not None, seconds)
        assert text in self.output(), self.process.poll()

    def notes(self, function: str) -> list[dict[str, Any]]:
        if not self.notes_file.exists():
            return []
        notes = [json.loads(line) for line in self.notes_file.read_text().splitlines()]
        return [note for note in notes if note.pop("function") == function]

    def end(self, sent: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal; give the exit code and what stands on standard error."""
        self.process.send_signal(sent)
        return self.wait()

    def wait(self, seconds: float = 30) -> tuple[int, str]:
        try:
            _, errors = self.process.communicate(timeout=seconds)
        finally:
            self.process.kill()
        return self.process.returncode, errors


def write_app(folder: Path, host_json: Mapping[str, Any] = HOST_JSON) -> Path:
    """Make a folder with the sample app."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(__file__).with_name("sample_app.py"), folder / "function_app.py")
    (folder / "host.json").write_text(json.dumps(host_json))
    return folder


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    with Azurite() as running:
        yield running


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return write_app(tmp_path / "app")


@pytest.fixture
def start(app: Path) -> Iterator[Start]:
    """Start hosts on the app, with another host.json if asked, and let none outlive the test."""
    hosts: list[DevHost] = []

    def begin(*arguments: str, host_json: Mapping[str, Any] = HOST_JSON, **env: str) -> DevHost:
        write_app(app, host_json)
        host = DevHost(app, "--port", "0", *arguments, **env)
        hosts.append(host)
        host.until_printed("Functions:")
        return host

    yield begin
    for host in hosts:
        host.process.kill()
        host.process.communicate()
