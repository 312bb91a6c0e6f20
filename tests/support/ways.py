"""The ways in which clients log in: without a name, with Basic, with a Bearer token."""

import re
from collections.abc import Generator
from enum import StrEnum

import httpx

from tests.support.hosts import Registry

_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_REPOSITORY = re.compile(r"/v2/(.+)/(?:blobs|manifests|referrers|tags)/")
_RIGHTS = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}


class Way(StrEnum):
    """One way of logging in."""

    ANONYMOUS = "anonymous"
    BASIC = "basic"
    BEARER_FRESH = "bearer-fresh"
    BEARER_CACHED = "bearer-cached"


class Bearer(httpx.Auth):
    """Asks for the token that a challenge names, for each request anew or once for its kind."""

    def __init__(self, basic: httpx.Auth, *, is_cached: bool) -> None:
        self._basic = basic
        self._is_cached = is_cached
        self._tokens: dict[tuple[str, str], str] = {}

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        """Send the request; where it is refused, fetch a token and send it again."""
        kind = _kind(request)
        if kind in self._tokens:
            request.headers["Authorization"] = self._tokens[kind]
        refused = yield request
        if refused.status_code != httpx.codes.UNAUTHORIZED:
            return
        issued = yield next(self._basic.auth_flow(_token_request(refused)))
        issued.read()
        token = f"Bearer {issued.raise_for_status().json()['access_token']}"
        if self._is_cached:
            self._tokens[kind] = token
        request.headers["Authorization"] = token
        yield request


def client(way: Way, registry: Registry) -> httpx.Client:
    """Make a client of the registry that logs in this way."""
    basic = httpx.BasicAuth(registry.user, registry.password)
    ways: dict[Way, httpx.Auth] = {
        Way.ANONYMOUS: Bearer(httpx.Auth(), is_cached=False),
        Way.BASIC: basic,
        Way.BEARER_FRESH: Bearer(basic, is_cached=False),
        Way.BEARER_CACHED: Bearer(basic, is_cached=True),
    }
    return httpx.Client(base_url=registry.url, auth=ways[way], timeout=60)


def _kind(request: httpx.Request) -> tuple[str, str]:
    """Tell for which requests one token will do: of one repository, with the same right."""
    found = _REPOSITORY.match(request.url.path)
    return found[1] if found else "", _RIGHTS.get(request.method, "push")


def _token_request(refused: httpx.Response) -> httpx.Request:
    asked = dict(_PARAMETER.findall(refused.headers["WWW-Authenticate"]))
    return httpx.Request("GET", asked.pop("realm"), params=asked)
