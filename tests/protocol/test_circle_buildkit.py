"""What BuildKit does: push an image with its provenance, keep a cache in the registry, use it."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import flows, listings
from tests.support.clients import ClientError, keep_credentials
from tests.support.go_clients import Program
from tests.support.go_daemons import Buildkit
from tests.support.hosts import Registry
from tests.support.images import DOCKER, OCI, random_bytes

pytestmark = [pytest.mark.protocol, pytest.mark.clients, pytest.mark.xdist_group("circle")]

DOCKERFILE = """\
FROM scratch AS made
COPY first /first
COPY second /second
FROM scratch
COPY --from=made / /
COPY first /again
"""
LAYERS = 2
COPIES = 4
ATTESTATION = "attestation-manifest"
IN_TOTO = "application/vnd.in-toto+json"


@dataclass(frozen=True)
class Buildctl:
    """The buildctl command, in a folder with something to build."""

    program: Program
    daemon: Buildkit

    @property
    def folder(self) -> Path:
        return self.program.folder

    def run(self, *arguments: str) -> None:
        self.program.run(f"--addr={self.daemon.address}", *arguments)

    def build(self, *options: str) -> dict[str, bool]:
        """Build, and say of each step that copies whether it came from a cache."""
        context = f"{self.folder}/context"
        sources = (f"--local=context={context}", f"--local=dockerfile={context}")
        trace = self.folder / "trace"
        self.run("build", "--frontend=dockerfile.v0", *sources, f"--trace={trace}", *options)
        told = [json.loads(line) for line in trace.read_text().splitlines()]
        steps = [step for each in told for step in each.get("vertexes") or ()]
        return {
            step["name"]: step.get("cached", False)
            for step in steps
            if "COPY" in step["name"] and "completed" in step
        }

    def push(self, reference: str, *options: str) -> str:
        """Build and push, and give the digest of what was pushed."""
        told = self.folder / "told"
        output = f"--output=type=image,name={reference},push=true"
        self.build(output, f"--metadata-file={told}", *options)
        return str(json.loads(told.read_text())["containerimage.digest"])


@pytest.fixture
def stranger(buildkit: Buildkit, tmp_path: Path) -> Buildctl:
    """A buildctl that did not log in, and something to build that was never built before."""
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(DOCKERFILE)
    for name in ("first", "second"):
        (context / name).write_bytes(random_bytes(300_000, secrets.randbits(30)))
    return Buildctl(Program("buildctl", tmp_path), buildkit)


@pytest.fixture
def buildctl(stranger: Buildctl, registry: Registry) -> Buildctl:
    keep_credentials(stranger.folder / ".docker" / "config.json", registry)
    return stranger


@pytest.fixture
def repository() -> str:
    return f"circle/buildkit-{secrets.token_hex(4)}"


@pytest.fixture
def here(registry: Registry, repository: str) -> str:
    return f"{registry.login_server}/{repository}"


def test_an_image_is_pushed_with_its_provenance(
    buildctl: Buildctl, registry: Registry, repository: str, here: str
) -> None:
    pushed = buildctl.push(f"{here}:v1", "--opt=attest:provenance=mode=max")
    with flows.connect(registry, repository, "pull") as client:
        index = flows.pull_manifest(client, repository, "v1")
    assert (index.digest, index.media_type) == (pushed, OCI.index)
    built, attestation = json.loads(index.content)["manifests"]
    assert attestation["annotations"] == {
        "vnd.docker.reference.type": ATTESTATION,
        "vnd.docker.reference.digest": built["digest"],
    }
    image = flows.pull(registry, repository, built["digest"])
    assert len(json.loads(image.manifest.content)["layers"]) == LAYERS
    provenance = flows.pull(registry, repository, attestation["digest"])
    (layer,) = json.loads(provenance.manifest.content)["layers"]
    assert layer["mediaType"] == IN_TOTO
    statement = json.loads(provenance.blobs[layer["digest"]])
    assert "slsa.dev/provenance" in statement["predicateType"]
    (subject,) = statement["subject"]
    assert f"sha256:{subject['digest']['sha256']}" == built["digest"]


@pytest.mark.parametrize(
    ("form", "media_type"),
    [
        ("image-manifest=true", OCI.manifest),
        ("image-manifest=false", OCI.index),
        ("image-manifest=false,oci-mediatypes=false", DOCKER.index),
    ],
    ids=["image", "index of blobs", "docker's list of blobs"],
)
def test_a_cache_is_exported_and_used_again(
    form: str, media_type: str, buildctl: Buildctl, registry: Registry, repository: str, here: str
) -> None:
    exported = f"--export-cache=type=registry,ref={here}:cache,mode=max,{form}"
    pushed = buildctl.push(f"{here}:v1", exported)
    with flows.connect(registry, repository, "pull") as client:
        cache = flows.pull_manifest(client, repository, "cache")
    assert cache.media_type == media_type
    assert cache.digest == flows.resolve(registry, repository, "cache")
    buildctl.run("prune", "--all")
    without = buildctl.build()
    assert [*without.values()] == [False] * COPIES
    buildctl.run("prune", "--all")
    imported = f"--import-cache=type=registry,ref={here}:cache"
    assert [*buildctl.build(imported).values()] == [True] * COPIES
    assert buildctl.push(f"{here}:v2", imported) == pushed


def test_who_did_not_log_in_pushes_nothing(
    stranger: Buildctl, registry: Registry, repository: str, here: str
) -> None:
    with pytest.raises(ClientError, match="401 Unauthorized"):
        stranger.push(f"{here}:v1")
    assert listings.status(registry, repository, "v1") == 404
