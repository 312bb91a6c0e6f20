"""Storage without a key: the registry goes there as the identity of its container.

Real are the emulator's TLS and its look at each token's form and claims, and all of the host; the
endpoint that a platform gives its containers tokens at is ours. What roles allow is not looked at.
"""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from infra.devhost.storage import ACCOUNT, StorageError
from tests.contract.test_azure_identity import SecureAzurite, Tokens
from tests.host.conftest import HTTP, MODULE
from tests.support import flows
from tests.support.hosts import running, settings_of
from tests.support.images import image
from tests.support.tools import unavailable
from tests.support.waiting import until

pytestmark = pytest.mark.emulator

SECRET, CLIENT = "only the platform knows it", "11111111-2222-3333-4444-555555555555"


class Platform(BaseHTTPRequestHandler):
    """Gives tokens as a container platform does, and writes down for whom."""

    asked: ClassVar[set[tuple[str, str]]] = set()

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        if self.headers["X-IDENTITY-HEADER"] != SECRET:
            self.send_error(401)
            return
        self.asked.add((query["resource"][0], query["client_id"][0]))
        token = Tokens.token()
        body = {"access_token": token.token, "expires_on": token.expires_on, "resource": "x"}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def platform() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Platform)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}/msi/token"
    server.shutdown()
    serving.join()
    server.server_close()


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[SecureAzurite]:
    azurite = SecureAzurite(tmp_path)
    try:
        azurite.start()
    except StorageError as error:
        unavailable(str(error))
    yield azurite
    azurite.stop()


def test_all_planes_work_as_an_identity(
    secure: SecureAzurite, platform: str, tmp_path: Path
) -> None:
    settings = settings_of(secure, REGISTRY_DRAIN_SECONDS="3", REGISTRY_BLOB_REDIRECTS="false")
    del settings["AzureWebJobsStorage"]
    uris = zip(("blob", "queue", "table"), secure.ports, strict=True)
    settings |= {
        f"AzureWebJobsStorage__{service}ServiceUri": f"https://127.0.0.1:{port}/{ACCOUNT}"
        for service, port in uris
    }
    settings |= {
        "AzureWebJobsStorage__credential": "managedidentity",
        "AzureWebJobsStorage__clientId": CLIENT,
        "IDENTITY_ENDPOINT": platform,
        "IDENTITY_HEADER": SECRET,
        "SSL_CERT_FILE": str(secure.certificate),
    }
    arguments = (*HTTP[:3], "all")
    built = image(7)
    with running(settings, tmp_path / "log", module=MODULE, arguments=arguments) as (
        host,
        registry,
    ):
        assert httpx.get(f"{registry.url}/health/ready").status_code == 200
        flows.push(registry, "identity/app", built, "v1")
        assert flows.pull(registry, "identity/app", "v1") == flows.pulled(built)
        until(lambda: "Executed 'Functions.fan_out_event' (Succeeded" in host.log(), 20)
        assert "timer " not in host.log()
        assert "cannot be read" not in host.log()
    assert Platform.asked == {("https://storage.azure.com", CLIENT)}
