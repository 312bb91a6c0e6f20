"""Microsoft's front before the app: its HTTP path as a program (functions-front), run as a child.

The front takes the requests in where else our own server would, chooses the function, and does two
things at once, in no order: it forwards the request to the worker's own web server under an
invocation id, and asks us for that invocation by a POST, which is answered when the function has
ended. It stands for the .NET host, whose packages it is made of; only gRPC is replaced.
"""

import asyncio
import ctypes
import json
import logging
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from azure.core.exceptions import AzureError

from infra.devhost.http.router import Router
from infra.devhost.http.server import STOP_SECONDS, bind
from infra.devhost.invocations import Invoker
from infra.devhost.settings import ENVIRONMENT, StartError, body_limit
from infra.devhost.stopping import Stopping
from infra.devhost.worker import Function, InvocationFailed

_START_SECONDS = 30
_READY = "listening on"
_SET_DEATH_SIGNAL = 1
_log = logging.getLogger(__name__)


def program_at(path: Path) -> Path:
    """Give the program at a path, or of this name on PATH; raises StartError where it is none."""
    found = shutil.which(path)
    if not found:
        raise StartError(f"the front {path} is no program that can be run")
    return Path(found).resolve()


class Front:
    """The program as the host's face, from start to end."""

    def __init__(
        self,
        program: Path,
        router: Router[Function],
        invoker: Invoker,
        worker: str,
        listening: socket.socket,
    ) -> None:
        """Take the place of a socket that holds the port for it; `worker` is a URL."""
        self.is_ready = asyncio.Event()
        self._program, self._router, self._worker = program, router, worker
        self._invocations = _Invocations(router, invoker)
        self._listening = listening

    async def run(self, stopping: Stopping) -> None:
        """Serve until the host is to end; raises StartError where the program ends before."""
        async with self._invocations.served() as port:
            await self._serve(port, stopping)

    async def _serve(self, invocations: int, stopping: Stopping) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".json") as functions:
            json.dump(_described(self._router), functions)
            functions.flush()
            process = await self._start(functions.name, invocations)
            try:
                await self._until_ready(process)
                self.is_ready.set()
                await self._relay(process, stopping)
            finally:
                await _end(process)

    async def _start(self, functions: str, invocations: int) -> asyncio.subprocess.Process:
        host, port = self._listening.getsockname()[:2]
        self._listening.close()
        try:
            return await asyncio.create_subprocess_exec(
                self._program,
                *("--listen", f"{host}:{port}", "--functions", functions),
                *("--worker", self._worker, "--invoke", self._invocations.url(invocations)),
                *("--body-limit", str(body_limit())),
                env={name: value for name, value in ENVIRONMENT.items() if not _is_ours(name)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us, who then stop it
                preexec_fn=_die_with_parent,
            )
        except OSError as error:
            raise StartError(f"the front {self._program}: {error.strerror}") from error

    async def _until_ready(self, process: asyncio.subprocess.Process) -> None:
        last = ""
        try:
            async with asyncio.timeout(_START_SECONDS):
                async for line in _lines(process):
                    if _READY in line:
                        return
                    last = line or last
        except TimeoutError:
            raise StartError(f"the front {self._program} did not start: {last}") from None
        raise StartError(f"the front {self._program} did not start: {last or 'it says nothing'}")

    async def _relay(self, process: asyncio.subprocess.Process, stopping: Stopping) -> None:
        """Log what the program says, until the host is to end."""
        async with asyncio.TaskGroup() as group:
            said = group.create_task(_log_lines(process))
            await asyncio.wait(
                {said, group.create_task(stopping.wait())}, return_when="FIRST_COMPLETED"
            )
            if not stopping.is_set():
                raise StartError(f"the front ended by itself ({await process.wait()})")
            await _end(process)


class _Invocations:
    """The endpoint at which the program asks for functions to be run.

    It is aiohttp's: a second uvicorn would share, and change, the logger of the worker's.
    """

    def __init__(self, router: Router[Function], invoker: Invoker) -> None:
        self._functions = {entry.target.name: entry.target for entry in router.entries}
        self._invoker = invoker
        self.secret = secrets.token_urlsafe()

    @asynccontextmanager
    async def served(self) -> AsyncIterator[int]:
        """Serve on a free port."""
        app = web.Application()
        app.router.add_post(f"/{self.secret}", self._run)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        listening = bind(0)
        try:
            await web.SockSite(runner, listening).start()
            yield listening.getsockname()[1]
        finally:
            await runner.cleanup()

    def url(self, port: int) -> str:
        """Give the address at which the program asks; nobody else knows it."""
        return f"http://127.0.0.1:{port}/{self.secret}"

    async def _run(self, request: web.Request) -> web.Response:
        """Run one function, to its end even if the program no longer waits for it."""
        asked = await request.json()
        function = self._functions[asked["function"]]
        answer: dict[str, object] = {"ok": True}
        try:
            await self._invoker.forwarded(function, asked["params"], asked["invocationId"])
        except (InvocationFailed, AzureError) as error:
            answer = {"ok": False, "error": str(error)}
        return web.json_response(answer)


def _described(router: Router[Function]) -> list[dict[str, object]]:
    return [
        {
            "name": entry.target.name,
            "route": entry.route.template,
            "methods": sorted(entry.methods),
        }
        for entry in router.entries
    ]


async def _lines(process: asyncio.subprocess.Process) -> AsyncIterator[str]:
    if process.stdout:
        async for line in process.stdout:
            yield line.decode(errors="replace").strip()


async def _log_lines(process: asyncio.subprocess.Process) -> None:
    async for line in _lines(process):
        _log.info("%s", line)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Let what runs end, for a while; an invocation that hangs would hold it for ever."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        _log.warning("The front did not end within %s s and is cut off.", STOP_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()


def _is_ours(setting: str) -> bool:
    """Tell the settings of the app, secrets among them, which the program has no use for."""
    return setting.startswith(("REGISTRY_", "AzureWebJobs"))


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
