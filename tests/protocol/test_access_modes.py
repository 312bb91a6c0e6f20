"""What real clients may do under each setting of REGISTRY_ANONYMOUS_ACCESS.

A row of the table is a setting and a caller; it lists what succeeds. All else has to be refused.
"""

import dataclasses
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.protocol.conftest import Clients
from tests.support import flows, listings
from tests.support.clients import Client, ClientError, keep_credentials
from tests.support.go_clients import Crane, by_address
from tests.support.hosts import Registry, running
from tests.support.images import Image, image
from tests.support.layouts import stored

pytestmark = [pytest.mark.protocol, pytest.mark.clients, pytest.mark.xdist_group("modes")]

MEMBER, IMPOSTOR, STRANGER = "logged in", "with a wrong password", "without a login"
SUCCEEDS = {
    ("none", MEMBER): {"login", "pull", "push"},
    ("none", IMPOSTOR): set(),
    ("none", STRANGER): set(),
    ("pull", MEMBER): {"login", "pull", "push"},
    ("pull", IMPOSTOR): set(),
    ("pull", STRANGER): {"pull"},
    ("all", MEMBER): {"login", "pull", "push"},
    ("all", IMPOSTOR): set(),
    ("all", STRANGER): {"pull", "push"},
}
SHOWS_IT_WHEN_ASKED = {"oras"}
"""Who keeps a password back until the registry asks for one: with a wrong one, they are strangers
where strangers may do it."""
REFUSED = r"(?i)unauthorized|authentication required|no basic auth|invalid username/password"
CREDENTIALS = {
    "docker": "docker/config.json",
    "podman": "auth.json",
    "skopeo": "auth.json",
    "crane": ".docker/config.json",
    "oras": ".docker/config.json",
}


@dataclass(frozen=True)
class Opened:
    """A registry, and what it lets strangers do."""

    mode: str
    registry: Registry


_ALONE = pytest.mark.direct("what clients may do under one setting shows what the front hands on")
_SETTINGS = ["pull", *(pytest.param(each, marks=_ALONE) for each in ("none", "all"))]


@pytest.fixture(scope="session", params=_SETTINGS)
def opened(
    request: pytest.FixtureRequest,
    settings: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Opened]:
    open_to = {**settings, "REGISTRY_ANONYMOUS_ACCESS": request.param}
    with running(open_to, tmp_path_factory.mktemp(request.param) / "log") as (_, registry):
        yield Opened(request.param, by_address(registry))


@dataclass(frozen=True)
class Attempt:
    """A client that is about to do something with one image."""

    client: Client
    registry: Registry
    repository: str
    built: Image

    @property
    def reference(self) -> str:
        return f"{self.registry.login_server}/{self.repository}:v1"

    def login(self) -> None:
        """Log in with the registry's password, or a wrong one."""
        self.client.login(self.registry)
        if isinstance(self.client, Crane):
            self.pull()  # it keeps any password, and tries it with its first request

    def pull(self) -> None:
        assert self.client.pull(self.reference) == stored(self.built)

    def push(self) -> None:
        self.client.push(self.reference)


@pytest.mark.parametrize(
    ("caller", "operation"),
    [
        (caller, operation)
        for caller in (MEMBER, IMPOSTOR, STRANGER)
        for operation in ("login", "pull", "push")
        if (caller, operation) != (STRANGER, "login")
    ],
)
@pytest.mark.parametrize("name", CREDENTIALS)
def test_a_caller_may_what_the_table_says(
    name: str, caller: str, operation: str, opened: Opened, clients: Clients
) -> None:
    registry, built = opened.registry, image(secrets.randbits(30))
    repository = f"modes/{name}-{secrets.token_hex(4)}"
    is_unseen = caller == IMPOSTOR and name in SHOWS_IT_WHEN_ASKED
    succeeds = operation in SUCCEEDS[opened.mode, STRANGER if is_unseen else caller]
    known = dataclasses.replace(registry, password="wrong") if caller == IMPOSTOR else registry
    attempt = Attempt(clients(name), known, repository, built)
    if operation == "push":
        attempt.client.load(built, attempt.reference)
    else:
        flows.push(registry, repository, built, "v1")
    if operation != "login" and caller != STRANGER:
        keep_credentials(attempt.client.folder / CREDENTIALS[name], known)
    if succeeds:
        getattr(attempt, operation)()
    else:
        with pytest.raises(ClientError, match=REFUSED):
            getattr(attempt, operation)()
    is_there = succeeds or operation != "push"
    assert listings.status(registry, repository, "v1") == (200 if is_there else 404)
