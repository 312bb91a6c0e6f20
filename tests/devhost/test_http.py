"""HTTP functions over the wire, without storage."""

import contextlib
import hashlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.devhost.conftest import DevHost, Start, write_app
from tests.support.waiting import until

ROUTED = (
    "base",
    "blob_get",
    "z_fallback",
    "facts",
    "digest",
    "zeros",
    "patient",
    "endless",
    "stall",
    "raises",
    "teapot",
)
MIB, GIB = 1024**2, 1024**3


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevHost]:
    app = write_app(tmp_path_factory.mktemp("http") / "app")
    limit = str(2 * GIB)
    running = DevHost(
        app,
        *("--port", "0", "--functions", *ROUTED),
        FUNCTIONS_REQUEST_BODY_SIZE_LIMIT=limit,
    )
    try:
        running.until_printed("Functions:")
        yield running
    finally:
        ended = running.end()
    assert ended == (0, "")


@pytest.fixture
def client(host: DevHost) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=host.url) as running:
        yield running


def test_routes_are_listed_with_methods_and_addresses(host: DevHost) -> None:
    port = host.url.rpartition(":")[2]
    assert f"base: [GET,HEAD] http://localhost:{port}/v2\n" in host.output()
    assert f"z_fallback: http://localhost:{port}/v2/{{*path}}\n" in host.output()


def test_get_and_head_answer_alike(client: httpx.Client) -> None:
    for path in ("/v2", "/v2/", "/V2/"):
        got, headed = client.get(path), client.head(path)
        assert (got.status_code, got.text) == (200, "hello")
        assert (headed.status_code, headed.content) == (200, b"")
        assert headed.headers["content-length"] == "5"


def test_head_is_not_found_where_it_is_not_listed(client: httpx.Client) -> None:
    assert client.get("/facts").status_code == 200
    assert client.head("/facts").status_code == 404


def test_no_route_is_an_empty_404_with_the_hosts_headers(client: httpx.Client) -> None:
    answer = client.get("/nowhere")
    assert (answer.status_code, answer.content) == (404, b"")
    assert answer.headers["x-other"] == "host"
    assert "allow" not in answer.headers


def test_own_header_stays_and_missing_ones_are_added(client: httpx.Client) -> None:
    answer = client.get("/facts")
    assert answer.headers.get_list("x-custom") == ["mine"]
    assert answer.headers["x-other"] == "host"


def test_first_route_by_name_wins_and_the_fallback_takes_the_rest(client: httpx.Client) -> None:
    path = "/v2/a/b/blobs/sha256:00"
    assert client.get(path).json() == {"path": "a/b/blobs/sha256:00"}
    assert client.put(path).text == "fallback PUT a/b/blobs/sha256:00"


def test_path_is_decoded_except_for_the_slash(client: httpx.Client) -> None:
    assert client.get("/v2/a%2Fb%3Ac/blobs/x%20y").json() == {"path": "a%2Fb:c/blobs/x y"}


def test_null_in_a_path_is_refused_before_any_route(client: httpx.Client) -> None:
    for path in ("/v2/a%00b", "/nowhere/%00"):
        answer = client.get(path)
        assert (answer.status_code, answer.content) == (400, b"")
        assert "x-other" not in answer.headers
    assert client.get("/v2/a%00b?x=%00").status_code == 400
    assert client.get("/v2/a%2500b/blobs/x?x=%00").json() == {"path": "a%00b/blobs/x"}


def test_every_request_has_an_id_of_the_host(client: httpx.Client) -> None:
    seen = client.get("/facts", headers={"x-ms-invocation-id": "mine"}).json()
    assert len(seen["id"]) == 1
    assert seen["id"] != ["mine"]


def test_scheme_and_host_are_the_clients(client: httpx.Client) -> None:
    plain = client.get("/facts", headers={"Host": "registry.example.com"}).json()
    assert (plain["scheme"], plain["host"]) == ("http", "registry.example.com")
    assert client.get("/facts", headers={"X-Forwarded-Proto": "https"}).json()["scheme"] == "https"


def test_a_clients_own_word_of_the_name_asked_for_is_dropped(client: httpx.Client) -> None:
    seen = client.get("/facts", headers={"X-Forwarded-Host": "evil.example"}).json()
    assert seen["forwarded"] == []


def test_an_idle_connection_is_kept_for_longer_than_clients_think(host: DevHost) -> None:
    with socket.create_connection(("127.0.0.1", int(host.url.rpartition(":")[2]))) as client:
        for _ in range(2):
            client.sendall(b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while not answer.endswith(b"hello"):
                piece = client.recv(4096)
                assert piece, "the connection was closed"
                answer += piece
            assert answer.startswith(b"HTTP/1.1 200")
            time.sleep(6)


def test_small_answers_do_not_wait_for_acknowledgements(client: httpx.Client) -> None:
    """With Nagle's algorithm each would take 40 ms."""
    client.get("/v2")
    began = time.monotonic()
    for _ in range(100):
        client.get("/v2")
    assert time.monotonic() - began < 3


def test_finished_requests_are_let_go(client: httpx.Client) -> None:
    """azure-functions-runtime 1.3.0 would hold each of them for ever."""
    for path in ("/facts", "/raises", "/teapot", "/nowhere"):
        client.get(path)
    assert client.get("/facts").json()["held"] == 1


def test_failure_is_a_500_and_logged_with_its_stack(host: DevHost, client: httpx.Client) -> None:
    assert client.get("/raises").status_code == 500
    host.until_printed("Executed 'Functions.raises' (Failed")
    host.until_printed("ValueError: not today")
    assert "in raises" in host.output()


def test_http_exception_is_its_status(client: httpx.Client) -> None:
    answer = client.get("/teapot")
    assert (answer.status_code, answer.json()) == (418, {"detail": "short and stout"})


def test_invocations_are_logged(host: DevHost, client: httpx.Client) -> None:
    client.get("/facts")
    host.until_printed("Executing 'Functions.facts' (Reason='")
    host.until_printed("Executed 'Functions.facts' (Succeeded, Id=")


@pytest.mark.parametrize("is_chunked", [True, False])
def test_upload_arrives_whole(client: httpx.Client, *, is_chunked: bool) -> None:
    content = bytes(range(256)) * 4096 * 5
    chunks = (content[i : i + 70_000] for i in range(0, len(content), 70_000))
    answer = client.put("/digest", content=chunks if is_chunked else content)
    assert answer.text == f"{len(content)} {hashlib.sha256(content).hexdigest()}"


def test_client_that_leaves_ends_the_upload(host: DevHost) -> None:
    with socket.create_connection(_address(host), timeout=5) as connection:
        connection.sendall(b"PUT /patient HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
        until(lambda: host.notes("patient"))
    until(lambda: {"got": "ClientDisconnect"} in host.notes("patient"))


def test_client_that_leaves_ends_the_download(host: DevHost) -> None:
    with httpx.stream("GET", f"{host.url}/endless") as answer:
        assert answer.headers["transfer-encoding"] == "chunked"
        chunks = answer.iter_bytes()
        assert next(chunks).startswith(b"tick")
        assert next(chunks).startswith(b"tick")
        assert not host.notes("endless")
    until(lambda: host.notes("endless"))


def test_unread_upload_waits_with_the_client(host: DevHost) -> None:
    before, sent = _resident(host), 0
    with socket.create_connection(_address(host)) as connection:
        connection.settimeout(1)
        connection.sendall(f"PUT /stall/9 HTTP/1.1\r\nContent-Length: {GIB}\r\n\r\n".encode())
        with contextlib.suppress(TimeoutError):
            while sent < GIB:
                sent += connection.send(bytes(MIB))
        assert sent < 64 * MIB
        assert _resident(host) - before < 16 * MIB


def test_unread_download_waits_in_the_function(host: DevHost) -> None:
    before = _resident(host)
    with socket.create_connection(_address(host)) as connection:
        connection.sendall(b"GET /zeros/1024 HTTP/1.1\r\n\r\n")
        connection.recv(1)
        time.sleep(1)
        assert _resident(host) - before < 16 * MIB


def test_gibibyte_up_and_down_takes_little_memory(host: DevHost) -> None:
    before = _resident(host)
    Path(f"/proc/{host.process.pid}/clear_refs").write_text("5")
    chunk = bytes(MIB)
    answer = httpx.put(f"{host.url}/digest", content=(chunk for _ in range(1024)), timeout=60)
    assert answer.text.startswith(f"{GIB} ")
    with httpx.stream("GET", f"{host.url}/zeros/1024") as download:
        assert sum(len(chunk) for chunk in download.iter_bytes()) == GIB
    assert _resident(host, "VmHWM") - before < 32 * MIB


def _address(host: DevHost) -> tuple[str, int]:
    return "127.0.0.1", int(host.url.rpartition(":")[2])


def _resident(host: DevHost, field: str = "VmRSS") -> int:
    status = Path(f"/proc/{host.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith(field)]
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("is_chunked", [True, False])
def test_body_over_the_limit_is_a_500(start: Start, *, is_chunked: bool) -> None:
    host = start("--functions", "digest", FUNCTIONS_REQUEST_BODY_SIZE_LIMIT="100")

    def put(size: int) -> httpx.Response:
        content = bytes(size)
        return httpx.put(f"{host.url}/digest", content=iter([content]) if is_chunked else content)

    assert put(100).status_code == 200
    answer = put(101)
    assert (answer.status_code, answer.content) == (500, b"")
    assert answer.headers["x-other"] == "host"
    assert put(99).status_code == 200
    assert host.end() == (0, "")
    runs = host.output().count("Executing 'Functions.digest'")
    assert runs == (3 if is_chunked else 2), "a length that is too large is refused at once"


def test_route_prefix_is_api_unless_host_json_says_otherwise(start: Start) -> None:
    host = start("--functions", "base", host_json={"version": "2.0"})
    assert httpx.get(f"{host.url}/api/v2").text == "hello"
    assert httpx.get(f"{host.url}/v2").status_code == 404


def test_local_settings_reach_the_app_unless_the_environment_has_them(
    start: Start, app: Path
) -> None:
    values = {
        "NOTES": "overruled",
        "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "3",
        "AzureWebJobs.facts.Disabled": "true",
    }
    (app / "local.settings.json").write_text(json.dumps({"Values": values}))
    host = start("--functions", "digest", "facts")
    assert "Skipping 'NOTES' from local settings" in host.output()
    assert "facts: [disabled] [GET]" in host.output()
    assert httpx.get(f"{host.url}/facts").status_code == 404
    assert httpx.put(f"{host.url}/digest", content=b"abcd").status_code == 500
