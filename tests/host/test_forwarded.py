"""What a stranger says of the name asked for changes nothing; what a trusted proxy says does."""

import socket

import httpx
import pytest

from tests.host.conftest import NAMES, Replica, Start

pytestmark = pytest.mark.emulator

LIES = {
    "X-Forwarded-Host": "evil.registries.test",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-For": "127.0.0.1",
    "Forwarded": "host=evil.registries.test;proto=http",
}
TRAILER = (
    b"GET /v2/ HTTP/1.1\r\nHost: registry.registries.test\r\nConnection: close\r\n"
    b"Transfer-Encoding: chunked\r\nTrailer: X-Forwarded-Host\r\n\r\n"
    b"1\r\na\r\n0\r\nX-Forwarded-Host: evil.registries.test\r\nHost: other\r\n\r\n"
)


def challenge(url: str, headers: dict[str, str], host: str = "registry.registries.test") -> str:
    answer = httpx.get(f"{url}/v2/", headers={"Host": host, **headers})
    return f"{answer.status_code} {answer.headers.get('WWW-Authenticate', '')}"


def realm(url: str, service: str) -> str:
    return f'401 Bearer realm="{url}/oauth2/token",service="{service}"'


def test_of_a_stranger_nothing_is_heard(replica: Replica) -> None:
    url, name = replica[1].url, "registry.registries.test"
    for headers in ({}, LIES, *({key: value} for key, value in LIES.items())):
        assert challenge(url, headers) == realm(f"https://{name}", name)
    spoken = challenge(url, {**LIES, "X-Forwarded-Proto": "https"}, "localhost")
    assert spoken == realm("http://localhost", "localhost")


def test_a_trusted_proxy_is_believed_and_what_stands_behind_a_body_is_no_header(
    start: Start,
) -> None:
    host, registry = start(**NAMES, REGISTRY_TRUSTED_PROXIES="127.0.0.0/8")
    url, name = registry.url, "registry.registries.test"
    said = {"X-Forwarded-Host": name, "X-Forwarded-Proto": "https"}
    assert challenge(url, said, "10.0.0.1:8080") == realm(f"https://{name}", name)
    assert challenge(url, LIES).startswith("404")  # there is no registry of that name
    local = {"X-Forwarded-Host": "localhost", "X-Forwarded-Proto": "https"}
    assert challenge(url, local) == realm("https://localhost", "localhost")
    assert challenge(url, {**said, "X-Forwarded-Host": "a b"}).startswith("400")
    with socket.create_connection(("127.0.0.1", host.port)) as client:
        client.sendall(TRAILER)
        answer = b"".join(iter(lambda: client.recv(65_536), b"")).decode()
    assert answer.startswith("HTTP/1.1 401"), answer
    assert realm(f"https://{name}", name).removeprefix("401 ") in answer
