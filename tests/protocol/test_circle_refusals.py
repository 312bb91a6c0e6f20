"""What clients are told who have a wrong password, or none."""

import dataclasses
import secrets
from pathlib import Path

import pytest

from tests.support import flows
from tests.support.clients import ClientError
from tests.support.go_clients import Program, by_address, logged_in, stranger
from tests.support.hosts import Registry
from tests.support.images import image

pytestmark = [pytest.mark.protocol, pytest.mark.clients, pytest.mark.xdist_group("circle")]

REFUSED = r"(?i)unauthorized|authentication required"
READS = {
    "crane": ("digest",),
    "oras": ("resolve", "--plain-http"),
    "regctl": ("manifest", "head"),
    "cosign": ("triangulate", "--type=digest", "--allow-http-registry"),
    "helm": ("show", "chart", "--plain-http"),
}


@pytest.fixture
def reference(registry: Registry) -> str:
    """The name of an image, but for the registry."""
    repository = f"circle/refused-{secrets.token_hex(4)}"
    flows.push(registry, repository, image(1), "v1")
    return f"{repository}:v1"


def read(name: str, client: Program, registry: Registry, reference: str) -> None:
    """Ask for a manifest."""
    scheme = "oci://" if name == "helm" else ""
    client.run(*READS[name], f"{scheme}{registry.login_server}/{reference}")


def log_in_and_read(name: str, folder: Path, registry: Registry, reference: str) -> None:
    """Log in and read: some clients try the password at once, others with the first request."""
    read(name, logged_in(name, folder, registry), registry, reference)


@pytest.mark.parametrize("name", READS)
def test_who_has_a_wrong_password_reads_nothing(
    name: str, registry: Registry, reference: str, tmp_path: Path
) -> None:
    wrong = dataclasses.replace(by_address(registry), password="wrong")
    with pytest.raises(ClientError, match=REFUSED):
        log_in_and_read(name, tmp_path, wrong, reference)


@pytest.mark.parametrize("name", READS)
def test_who_has_no_password_reads_nothing(
    name: str, registry: Registry, reference: str, tmp_path: Path
) -> None:
    here = by_address(registry)
    client = stranger(name, tmp_path, here)
    with pytest.raises(ClientError, match=REFUSED):
        read(name, client, here, reference)
