"""A small imitation of what az asks in Azure, over TLS on loopback: one function app on Flex.

Its sign-in (a managed identity's), Azure Resource Manager, and the app's own SCM site, all at one
address. It writes down what it is asked, and deploys nothing.
"""

import json
import ssl
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.support.authority import write_certificate

GROUP, APP = "rg-registry", "func-registry"
_DAY = 86_400
_ID = "00000000-0000-0000-0000-000000000001"
_SUBSCRIPTION = f"/subscriptions/{_ID}"
_WEB = f"{_SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Web"
_SITE, _PLAN = f"{_WEB}/sites/{APP}", f"{_WEB}/serverfarms/plan"

type Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    body: bytes


class AzureForAz(AbstractContextManager["AzureForAz"]):
    """The imitation; `certificate` is what to trust."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[Asked] = []
        self.certificate = folder / "certificate.pem"
        write_certificate(self.certificate, folder / "key.pem")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, folder / "key.pem")
        handler = type("Handler", (_Handler,), {"azure": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._answers = {path.lower(): answer for path, answer in _answers(self.address).items()}

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, asked: Asked) -> tuple[int, Document]:
        """Write down what is asked, and give status and document."""
        self.asked.append(asked)
        found = self._answers.get(asked.path.lower())
        status = 202 if asked.path == "/api/publish" else 200
        return (status, found) if found is not None else (404, {"error": {"code": "NotFound"}})

    def cloud(self) -> Document:
        """Give what az is to register as a cloud."""
        url = f"https://{self.address}"
        names = ("resourceManager", "activeDirectory", "activeDirectoryResourceId", "management")
        return {"endpoints": {**dict.fromkeys(names, url), "appServiceResourceId": url}}


def _answers(address: str) -> Mapping[str, Document]:
    deployment = f"{_SUBSCRIPTION}/providers/Microsoft.Resources/deployments/registry"
    deployed = {"id": deployment, "properties": {"provisioningState": "Succeeded"}}
    return {
        "/identity": _token(),
        "/subscriptions": {"value": [_subscription()]},
        f"{deployment}/validate": deployed,
        deployment: deployed,
        _SITE: _site(address),
        _PLAN: {"id": _PLAN, "location": "West Europe", "sku": {"tier": "FlexConsumption"}},
        f"{_SITE}/config/appsettings/list": {"properties": {}},
        "/providers/Microsoft.Web/locations/West%20Europe/functionAppStacks": {"value": []},
        "/api/publish": {},
        "/api/deployments/latest": {"status": 4},
    }


def _token() -> Document:
    expires = str(int(time.time()) + _DAY)
    parts: tuple[Document, ...] = ({"alg": "none"}, {"tid": _ID, "oid": _ID, "aud": "az"}, {})
    told = (urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return {"access_token": ".".join(told), "expires_on": expires, "token_type": "Bearer"}


def _subscription() -> Document:
    about = {"tenantId": _ID, "displayName": "one of the tests", "state": "Enabled"}
    return {"id": _SUBSCRIPTION, "subscriptionId": _ID, "managedByTenants": [], **about}


def _site(address: str) -> Document:
    hosts = [{"name": address, "hostType": kind} for kind in ("Standard", "Repository")]
    properties = {
        "reserved": True,
        "serverFarmId": _PLAN,
        "sku": "FlexConsumption",
        "hostNameSslStates": hosts,
        "functionAppConfig": {"runtime": {"name": "python", "version": "3.13"}},
    }
    kind = "functionapp,linux"
    return {"id": _SITE, "kind": kind, "location": "West Europe", "properties": properties}


class _Handler(BaseHTTPRequestHandler):
    azure: AzureForAz
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = Asked(self.command, url.path, parse_qs(url.query), body)
        status, document = self.azure.answer(asked)
        text = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_PUT = do_GET  # noqa: N815 - the names that the library asks for

    def log_message(self, *_: object) -> None:
        """Tell nobody."""
