"""What crane does: push, pull, copy, change, list, delete, validate."""

import json
import secrets
from pathlib import Path

import pytest

from tests.support import flows, listings
from tests.support.go_clients import Program, by_address, logged_in
from tests.support.hosts import Registry
from tests.support.images import DOCKER, archive, digest_of, image, multi_platform
from tests.support.layouts import write_docker_archive, write_layout

pytestmark = [pytest.mark.protocol, pytest.mark.clients, pytest.mark.xdist_group("circle")]


@pytest.fixture
def crane(tmp_path: Path, registry: Registry) -> Program:
    return logged_in("crane", tmp_path, by_address(registry))


@pytest.fixture
def repository() -> str:
    return f"circle/crane-{secrets.token_hex(4)}"


@pytest.fixture
def here(registry: Registry, repository: str) -> str:
    return f"{by_address(registry).login_server}/{repository}"


def test_a_layout_makes_the_round_trip(
    crane: Program, registry: Registry, repository: str, here: str
) -> None:
    built = image(1, layers=3, size=300_000)
    layout = write_layout(built, crane.folder / "layout", "v1")
    assert crane.run("push", str(layout), f"{here}:v1") == f"{here}@{built.digest}"
    assert crane.run("digest", f"{here}:v1") == built.digest
    assert flows.pull(registry, repository, "v1") == flows.pulled(built)
    crane.run("validate", f"--remote={here}:v1")
    crane.run("pull", "--format=oci", f"{here}:v1", str(crane.folder / "pulled"))
    for each in (built.manifest, *built.blobs):
        path = crane.folder / "pulled" / "blobs" / each.digest.replace(":", "/")
        assert path.read_bytes() == each.content


def test_a_tarball_of_docker_keeps_its_config(
    crane: Program, registry: Registry, here: str
) -> None:
    built = image(2, flavour=DOCKER)
    tarball = write_docker_archive(built, crane.folder / "image.tar", "made:v1")
    crane.run("push", str(tarball), f"{here}:v1")
    manifest = json.loads(crane.output("manifest", f"{here}:v1"))
    assert manifest["mediaType"] == DOCKER.manifest
    assert manifest["config"]["digest"] == built.config.digest
    assert crane.output("config", f"{here}:v1") == built.config.content
    for part, layer in zip(manifest["layers"], built.layers, strict=True):
        content = crane.output("blob", f"{here}@{part['digest']}")
        assert digest_of(content) == part["digest"]
        assert layer.diff_id in crane.run("config", f"{here}:v1")


def test_an_index_is_pushed_and_copied_with_all_its_images(
    crane: Program, registry: Registry, repository: str, here: str
) -> None:
    index = multi_platform(3)
    layout = write_layout(index, crane.folder / "layout", "all")
    crane.run("push", "--index", str(layout), f"{here}:pushed")
    outer = json.loads(crane.output("manifest", f"{here}:pushed"))
    assert [each["digest"] for each in outer["manifests"]] == [index.digest]
    crane.run("copy", f"{here}@{index.digest}", f"{here}-copy:v1")
    assert flows.resolve(registry, f"{repository}-copy", "v1") == index.digest
    for each in index.images:
        assert flows.pull(registry, f"{repository}-copy", each.digest) == flows.pulled(each)
        asked = f"--platform=linux/{each.platform.architecture}"
        assert crane.run("digest", asked, f"{here}-copy:v1") == each.digest


def test_it_lists_and_tags_and_deletes(
    crane: Program, registry: Registry, repository: str, here: str
) -> None:
    built = image(4)
    flows.push(registry, repository, built, "v1")
    crane.run("tag", f"{here}:v1", "v2")
    assert crane.run("ls", here).split() == ["v1", "v2"]
    assert repository in crane.run("catalog", here.partition("/")[0]).split()
    crane.run("delete", f"{here}:v2")
    assert crane.run("ls", here).split() == ["v1"]
    crane.run("delete", f"{here}@{built.digest}")
    assert listings.status(registry, repository, "v1") == 404
    assert listings.status(registry, repository, built.digest) == 404


def test_it_appends_a_layer_and_changes_a_config(
    crane: Program, registry: Registry, repository: str, here: str
) -> None:
    built = image(5)
    flows.push(registry, repository, built, "v1")
    more = crane.folder / "more.tar"
    more.write_bytes(archive({"data/more": b"more"}))
    crane.run("append", f"--base={here}:v1", f"--new_layer={more}", f"--new_tag={here}:v2")
    crane.run("mutate", f"{here}:v2", "--label=circle=crane", f"--tag={here}:v3")
    config = json.loads(crane.output("config", f"{here}:v3"))
    assert config["config"]["Labels"] == {"circle": "crane"}
    assert config["rootfs"]["diff_ids"] == [*built.diff_ids, digest_of(more.read_bytes())]
    pulled = flows.pull(registry, repository, "v3")
    assert crane.output("config", f"{here}:v3") in pulled.blobs.values()
    assert set(pulled.blobs) >= {each.blob.digest for each in built.layers}
    crane.run("validate", f"--remote={here}:v3")
