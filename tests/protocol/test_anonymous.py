"""Clients where anyone may pull: nobody has to log in for it, and a login counts all the same."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.protocol.conftest import DAEMONLESS, Clients
from tests.support import flows
from tests.support.clients import ClientError
from tests.support.go_clients import by_address, logged_in, stranger
from tests.support.hosts import Registry, running
from tests.support.images import image

pytestmark = [pytest.mark.protocol, pytest.mark.clients, pytest.mark.xdist_group("anonymous")]

REFUSED = r"(?i)unauthorized|authentication required|invalid username/password"
READS = {
    "crane": ("digest",),
    "oras": ("resolve", "--plain-http"),
    "regctl": ("manifest", "head"),
}


@pytest.fixture(scope="module")
def registry(
    settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registry]:
    """A registry from which anyone may pull."""
    log = tmp_path_factory.mktemp("anonymous") / "log"
    with running({**settings, "REGISTRY_ANONYMOUS_ACCESS": "pull"}, log) as (_, opened):
        yield opened


@pytest.mark.parametrize("name", DAEMONLESS)
def test_a_wrong_password_is_noticed_and_the_right_one_pushes(
    name: str, clients: Clients, registry: Registry
) -> None:
    client = clients(name)
    pushed = image(1, layers=1, size=1_000)
    tagged = f"{registry.login_server}/anonymous/{name}:v1"
    client.load(pushed, tagged)
    with pytest.raises(ClientError, match=REFUSED):
        client.login(dataclasses.replace(registry, password="wrong"))
    with pytest.raises(ClientError, match=REFUSED):
        client.push(tagged)
    client.login(registry)
    client.push(tagged)


@pytest.mark.parametrize("name", DAEMONLESS)
def test_an_image_is_pulled_without_logging_in(
    name: str, clients: Clients, registry: Registry
) -> None:
    pushed = image(1, layers=1, size=1_000)
    flows.push(registry, "anonymous/pulled", pushed, "v1")
    pulled = clients(name).pull(f"{registry.login_server}/anonymous/pulled:v1")
    assert pulled.manifest == pushed.digest


@pytest.mark.parametrize("name", READS)
def test_programs_read_without_logging_in_and_not_with_a_wrong_password(
    name: str, registry: Registry, tmp_path: Path
) -> None:
    pushed = image(1, layers=1, size=1_000)
    flows.push(registry, "anonymous/read", pushed, "v1")
    here = by_address(registry)
    reads = *READS[name], f"{here.login_server}/anonymous/read:v1"
    assert pushed.digest in stranger(name, tmp_path, here).run(*reads)
    wrong = dataclasses.replace(here, password="wrong")
    with pytest.raises(ClientError, match=REFUSED):  # at the login, or at the read after it
        logged_in(name, tmp_path, wrong).run(*reads)
