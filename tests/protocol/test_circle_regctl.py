"""What regctl does: chunked uploads, copies, referrers, tags."""

import json
import secrets
from pathlib import Path

import pytest

from tests.support import flows, listings
from tests.support.clients import ClientError
from tests.support.go_clients import CHUNK_BYTES, MIB, Program, logged_in
from tests.support.hosts import Host, Registry
from tests.support.images import digest_of, image, multi_platform, random_bytes

pytestmark = [pytest.mark.protocol, pytest.mark.clients, pytest.mark.xdist_group("circle")]

TYPE = "application/vnd.example.report"


@pytest.fixture
def client(tmp_path: Path, registry: Registry) -> Program:
    return logged_in("regctl", tmp_path, registry)


@pytest.fixture
def repository() -> str:
    return f"circle/regctl-{secrets.token_hex(4)}"


@pytest.fixture
def here(registry: Registry, repository: str) -> str:
    return f"{registry.login_server}/{repository}"


def parts_of(host: Host, repository: str) -> int:
    """Count the parts of uploads that the host's log tells of."""
    return host._log.read_text().count(f"upload_append /v2/{repository}/")


def test_a_blob_is_uploaded_in_chunks(
    client: Program, host: Host, registry: Registry, repository: str, here: str
) -> None:
    content = random_bytes(9 * CHUNK_BYTES + 12_345, 1)
    digest = digest_of(content)
    assert client.run("blob", "put", here, stdin=content) == digest
    assert parts_of(host, repository) == 10
    with flows.connect(registry, repository, "pull") as http:
        assert flows.pull_blob(http, repository, digest) == content
    assert client.output("blob", "get", here, digest) == content


def test_an_image_is_copied_from_one_repository_to_another(
    client: Program, registry: Registry, repository: str, here: str
) -> None:
    built = image(2, size=3 * MIB)
    flows.push(registry, repository, built, "v1")
    client.run("image", "copy", f"{here}:v1", f"{here}/copy:v1")
    assert flows.pull(registry, f"{repository}/copy", "v1") == flows.pulled(built)
    assert client.run("image", "digest", f"{here}/copy:v1") == built.digest


def test_an_index_goes_to_a_layout_and_back(
    client: Program, registry: Registry, repository: str, here: str
) -> None:
    index = multi_platform(3)
    flows.push(registry, repository, index, "v1")
    layout = f"ocidir://{client.folder}/layout:v1"
    client.run("image", "copy", f"{here}:v1", layout)
    client.run("image", "copy", layout, f"{here}/back:v1")
    assert flows.resolve(registry, f"{repository}/back", "v1") == index.digest
    for each in index.images:
        assert flows.pull(registry, f"{repository}/back", each.digest) == flows.pulled(each)


def put(client: Program, subject: str, kind: str) -> str:
    """Attach an artifact to a subject and give its digest."""
    options = (
        f"--artifact-type={kind}",
        f"--subject={subject}",
        "--format={{.Manifest.GetDigest}}",
    )
    return client.run("artifact", "put", *options, stdin=kind.encode())


def test_an_artifact_is_listed_with_its_subject(
    client: Program, registry: Registry, repository: str, here: str
) -> None:
    built = image(4)
    flows.push(registry, repository, built, "v1")
    kinds = (TYPE, f"{TYPE}.other")
    artifacts = {put(client, f"{here}:v1", kind): kind for kind in kinds}
    assert listings.referrers(registry, repository, built.digest) == artifacts
    assert listings.tags(registry, repository) == ["v1"], "regctl fell back to a tag"
    only = json.loads(
        client.run(
            "artifact", "list", f"--filter-artifact-type={TYPE}", "--format=body", f"{here}:v1"
        )
    )["manifests"]
    (digest,) = (digest for digest, kind in artifacts.items() if kind == TYPE)
    assert [(each["digest"], each["artifactType"]) for each in only] == [(digest, TYPE)]
    assert client.output("artifact", "get", f"{here}@{digest}") == TYPE.encode()


def test_a_copy_brings_the_referrers(
    client: Program, registry: Registry, repository: str, here: str
) -> None:
    built = image(5)
    flows.push(registry, repository, built, "v1")
    artifact = put(client, f"{here}:v1", TYPE)
    client.run("image", "copy", "--referrers", f"{here}:v1", f"{here}/copy:v1")
    target = f"{repository}/copy"
    assert listings.referrers(registry, target, built.digest) == {artifact: TYPE}
    assert listings.tags(registry, target) == ["v1"]


def test_a_deleted_tag_leaves_the_others(
    client: Program, registry: Registry, repository: str, here: str
) -> None:
    built = image(6)
    flows.push(registry, repository, built, "v1")
    client.run("image", "copy", f"{here}:v1", f"{here}:v2")
    assert client.run("repo", "ls", registry.login_server).split().count(repository) == 1
    assert client.run("tag", "ls", here).split() == ["v1", "v2"]
    client.run("tag", "delete", f"{here}:v1")
    assert client.run("tag", "ls", here).split() == ["v2"]
    assert listings.status(registry, repository, "v1") == 404
    assert flows.pull(registry, repository, "v2") == flows.pulled(built)


def test_a_deleted_manifest_is_gone(
    client: Program, registry: Registry, repository: str, here: str
) -> None:
    built = image(7)
    flows.push(registry, repository, built, "v1")
    client.run("manifest", "delete", f"{here}@{built.digest}")
    assert listings.status(registry, repository, built.digest) == 404
    with pytest.raises(ClientError, match=r"(?i)not found"):
        client.run("manifest", "head", f"{here}@{built.digest}")
