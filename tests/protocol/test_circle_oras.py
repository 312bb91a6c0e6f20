"""What oras does: push and pull files, attach to them, discover, copy, delete."""

import json
import secrets
from pathlib import Path

import pytest

from tests.support import flows, listings
from tests.support.go_clients import MIB, Program, logged_in
from tests.support.hosts import Registry
from tests.support.images import digest_of, random_bytes

pytestmark = [pytest.mark.protocol, pytest.mark.clients, pytest.mark.xdist_group("circle")]

TYPE = "application/vnd.example.report"


@pytest.fixture
def oras(tmp_path: Path, registry: Registry) -> Program:
    return logged_in("oras", tmp_path, registry)


@pytest.fixture
def repository() -> str:
    return f"circle/oras-{secrets.token_hex(4)}"


@pytest.fixture
def here(registry: Registry, repository: str) -> str:
    return f"{registry.login_server}/{repository}"


def push(oras: Program, target: str, **files: bytes) -> str:
    """Push files and give the digest of what they became."""
    for name, content in files.items():
        (oras.folder / name).write_bytes(content)
    pushed = oras.run("push", "--plain-http", "--format=json", target, *files)
    return str(json.loads(pushed)["digest"])


def attach(oras: Program, target: str, kind: str) -> str:
    """Attach a file and give the digest of what it became."""
    (oras.folder / "report").write_bytes(kind.encode())
    attached = oras.run(
        "attach", "--plain-http", "--format=json", f"--artifact-type={kind}", target, "report"
    )
    return str(json.loads(attached)["digest"])


def discovered(oras: Program, target: str, *options: str) -> set[str]:
    """Ask for the digests that refer to a target."""
    found = oras.run("discover", "--plain-http", "--format=json", "--depth=1", *options, target)
    return {each["digest"] for each in json.loads(found)["referrers"]}


def test_files_make_the_round_trip(
    oras: Program, registry: Registry, repository: str, here: str
) -> None:
    files = {"first": random_bytes(100_000, 1), "second": b"", "third": b"third"}
    digest = push(oras, f"{here}:v1,v2", **files)
    assert listings.tags(registry, repository) == ["v1", "v2"]
    assert oras.run("resolve", "--plain-http", f"{here}:v2") == digest
    pulled = flows.pull(registry, repository, "v1")
    assert pulled.manifest.digest == digest
    assert set(pulled.blobs.values()) >= set(files.values())
    oras.run("pull", "--plain-http", "--output=pulled", f"{here}:v1")
    for name, content in files.items():
        assert (oras.folder / "pulled" / name).read_bytes() == content


@pytest.mark.parametrize("how", ["registry", "streaming_registry"])
def test_a_large_blob_makes_the_round_trip(
    how: str, oras: Program, repository: str, request: pytest.FixtureRequest
) -> None:
    registry: Registry = request.getfixturevalue(how)
    logged_in("oras", oras.folder, registry)
    content = random_bytes(64 * MIB, 2)
    (oras.folder / "large").write_bytes(content)
    here = f"{registry.login_server}/{repository}"
    oras.run("blob", "push", "--plain-http", here, "large")
    name = f"{here}@{digest_of(content)}"
    oras.run("blob", "fetch", "--plain-http", "--output=fetched", name)
    assert (oras.folder / "fetched").read_bytes() == content


def test_what_is_attached_is_discovered_through_the_referrers(
    oras: Program, registry: Registry, repository: str, here: str
) -> None:
    subject = push(oras, f"{here}:v1", file=b"subject")
    kinds = [TYPE, TYPE, f"{TYPE}.other"]
    attached = {attach(oras, f"{here}:v1", kind): kind for kind in kinds}
    assert listings.referrers(registry, repository, subject) == attached
    assert listings.tags(registry, repository) == ["v1"], "oras fell back to a tag"
    assert discovered(oras, f"{here}:v1") == set(attached)
    only = {digest for digest, kind in attached.items() if kind == TYPE}
    assert discovered(oras, f"{here}:v1", f"--artifact-type={TYPE}") == only
    oras.run("pull", "--plain-http", "--output=pulled", f"{here}@{only.pop()}")
    assert (oras.folder / "pulled" / "report").read_bytes() == TYPE.encode()


def test_a_copy_brings_what_is_attached(
    oras: Program, registry: Registry, repository: str, here: str
) -> None:
    subject = push(oras, f"{here}:v1", file=b"copied")
    report = attach(oras, f"{here}:v1", TYPE)
    nested = attach(oras, f"{here}@{report}", TYPE)
    plain = ("--from-plain-http", "--to-plain-http")
    oras.run("copy", "--recursive", *plain, f"{here}:v1", f"{here}/copy:v1")
    target = f"{repository}/copy"
    assert flows.resolve(registry, target, "v1") == subject
    assert listings.referrers(registry, target, subject) == {report: TYPE}
    assert listings.referrers(registry, target, report) == {nested: TYPE}
    assert flows.pull(registry, target, nested) == flows.pull(registry, repository, nested)


def test_what_is_deleted_is_no_longer_discovered(
    oras: Program, registry: Registry, repository: str, here: str
) -> None:
    subject = push(oras, f"{here}:v1", file=b"kept")
    report = attach(oras, f"{here}:v1", TYPE)
    oras.run("manifest", "delete", "--plain-http", "--force", f"{here}@{report}")
    assert discovered(oras, f"{here}:v1") == set()
    assert listings.status(registry, repository, report) == 404
    assert flows.resolve(registry, repository, "v1") == subject


def test_it_lists_repositories_and_tags(
    oras: Program, registry: Registry, repository: str, here: str
) -> None:
    push(oras, f"{here}:v1", file=b"listed")
    oras.run("tag", "--plain-http", f"{here}:v1", "v2")
    listed = oras.run("repo", "ls", "--plain-http", registry.login_server).split()
    assert repository in listed
    assert oras.run("repo", "tags", "--plain-http", here).split() == ["v1", "v2"]
