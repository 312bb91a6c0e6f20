"""The command: how it starts, complains and ends."""

import signal
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.devhost.conftest import DevHost, Start

HEAD = """
import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request, Response

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
"""
ROUTE = """
@app.route(route="{0}")
async def {1}(req: Request) -> Response:
    return Response()
"""
CLASSIC = """
import azure.functions as func

app = func.FunctionApp()

@app.route(route="x")
async def classic(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse()
"""
TIMER = """
@app.timer_trigger(arg_name="timer", schedule="{0}")
async def tick(timer: func.TimerRequest) -> None: ...
"""
QUEUE = """
@app.queue_trigger(arg_name="message", queue_name="{0}", connection="ELSEWHERE")
async def take(message: str) -> None: ...
"""

BROKEN = [
    ("def x(:", "the app cannot be loaded: SyntaxError: "),
    (
        "import nonsense",
        "ModuleNotFoundError: No module named 'nonsense' (function_app.py, line 1)",
    ),
    ("x = 1", "Could not find top level function app instances"),
    (HEAD, "no function"),
    (HEAD + ROUTE.format("v2/{x", "one"), "one: the route 'v2/{x': a parameter lacks"),
    (HEAD + ROUTE.format("admin/x", "one"), "one: the route 'admin/x' is the host's own"),
    (HEAD + ROUTE.format("x", "one") + ROUTE.format("X", "two"), "two functions have the route"),
    (HEAD + ROUTE.format("x", "host"), "'host' cannot be a function's name"),
    (CLASSIC, "HTTP functions take the types of azurefunctions-extensions-http"),
    (HEAD + TIMER.format("0 0 0 30 2 *"), "tick: '0 0 0 30 2 *' never comes"),
    (HEAD + TIMER.format("%NO%"), "%NO% in '%NO%': there is no such setting"),
    (HEAD + QUEUE.format("queue"), "the setting ELSEWHERE should hold a storage connection string"),
]


def complaint(app: Path, *arguments: str, **env: str) -> str:
    code, errors = DevHost(app, "--port", "0", *arguments, **env).wait()
    assert code == 1
    assert errors.startswith("devhost: ")
    assert errors.count("\n") == 1
    return errors


@pytest.mark.parametrize(("source", "expected"), BROKEN)
def test_broken_app_is_one_line(tmp_path: Path, source: str, expected: str) -> None:
    (tmp_path / "host.json").write_text('{"extensions": {"http": {"routePrefix": ""}}}')
    (tmp_path / "function_app.py").write_text(source)
    assert expected in complaint(tmp_path, AzureWebJobsStorage="UseDevelopmentStorage=true")


def test_folder_without_an_app_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text("{}")
    assert "there is no function_app.py in" in complaint(tmp_path)
    (tmp_path / "host.json").unlink()
    assert "there is no host.json in" in complaint(tmp_path)


def test_wrong_settings_are_one_line(app: Path) -> None:
    assert "no function nobody" in complaint(app, "--functions", "nobody")
    limit = {"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "much"}
    assert "a number of bytes" in complaint(app, "--functions", "base", **limit)
    storage = {"AzureWebJobsStorage": "nonsense"}
    assert "AzureWebJobsStorage: Connection string" in complaint(
        app, "--functions", "first", **storage
    )


def test_storage_that_is_away_is_one_line(app: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}/devstoreaccount1"
        storage = f"AccountName=devstoreaccount1;AccountKey=a2V5;BlobEndpoint={address}"
        errors = complaint(app, "--functions", "first", AzureWebJobsStorage=storage)
    assert "the storage in AzureWebJobsStorage does not answer" in errors


def test_busy_port_is_one_line(app: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        errors = complaint(app, "--port", port, "--functions", "base")
    assert errors == f"devhost: port {port} cannot be used: Address already in use\n"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_host_after_the_running_request(start: Start, sent: int) -> None:
    host = start("--functions", "stall")
    answers: list[str] = []
    client = threading.Thread(target=lambda: answers.append(httpx.put(f"{host.url}/stall/1").text))
    client.start()
    host.until_printed("Executing 'Functions.stall'")
    assert host.end(sent) == (0, "")
    client.join()
    assert answers == ["done"]


def test_request_that_does_not_end_is_cut_off(start: Start) -> None:
    host = start("--functions", "stall")
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", int(host.url.rpartition(":")[2]))) as client:
        client.sendall(b"PUT /stall/600 HTTP/1.1\r\nHost: x\r\n\r\n")
        host.until_printed("Executing 'Functions.stall'")
        assert host.end() == (0, "")
    assert time.monotonic() - began < 20


def test_second_interrupt_does_not_wait(start: Start) -> None:
    host = start("--functions", "stall")
    with socket.create_connection(("127.0.0.1", int(host.url.rpartition(":")[2]))) as client:
        client.sendall(b"PUT /stall/600 HTTP/1.1\r\nHost: x\r\n\r\n")
        host.until_printed("Executing 'Functions.stall'")
        host.process.send_signal(signal.SIGINT)
        host.until_printed("Stopping ...")
        began = time.monotonic()
        assert host.end(signal.SIGINT) == (0, "")
    assert time.monotonic() - began < 5


def test_function_over_its_time_limit_has_failed(start: Start) -> None:
    host_json = {"functionTimeout": "00:00:01", "extensions": {"http": {"routePrefix": ""}}}
    host = start("--functions", "stall", host_json=host_json)
    assert httpx.put(f"{host.url}/stall/0").text == "done"
    assert httpx.put(f"{host.url}/stall/60").status_code == 500
    host.until_printed("functionTimeout (1.0 s) has passed")
    assert host.end() == (0, "")
