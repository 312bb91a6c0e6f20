"""Images for several platforms, pushed and pulled by real clients."""

import json
from pathlib import Path

import pytest

from tests.protocol.conftest import Clients
from tests.support import flows
from tests.support.clients import Ctr, Skopeo
from tests.support.hosts import Registry
from tests.support.images import DOCKER, OCI, Flavour, multi_platform
from tests.support.layouts import stored, write_layout

pytestmark = [pytest.mark.protocol, pytest.mark.clients, pytest.mark.xdist_group("engine")]


def test_skopeo_copies_an_index_with_all_its_images(
    skopeo: Skopeo, registry: Registry, tmp_path: Path
) -> None:
    index = multi_platform(1)
    layout = write_layout(index, tmp_path / "index", "all")
    target = f"docker://{registry.login_server}/platforms/skopeo:all"
    skopeo.copy(f"oci:{layout}:all", target, "--all")
    assert flows.resolve(registry, "platforms/skopeo", "all") == index.digest
    for each in index.images:
        assert flows.pull(registry, "platforms/skopeo", each.digest) == flows.pulled(each)


def test_podman_puts_an_index_together_and_pushes_it(clients: Clients, registry: Registry) -> None:
    podman, index = clients("podman"), multi_platform(2)
    here = f"{registry.login_server}/platforms/podman"
    flows.push(registry, "platforms/podman", index, "source")
    podman.login(registry)
    podman.run("manifest", "create", "list")
    for each in index.images:
        podman.run(
            "manifest", "add", "--tls-verify=false", "list", f"docker://{here}@{each.digest}"
        )
    podman.run("manifest", "push", "--tls-verify=false", "--all", "list", f"docker://{here}:made")
    with flows.connect(registry, "platforms/podman", "pull") as client:
        manifest = flows.pull_manifest(client, "platforms/podman", "made")
    listed = [each["digest"] for each in json.loads(manifest.content)["manifests"]]
    assert listed == [each.digest for each in index.images]


@pytest.mark.parametrize("flavour", [OCI, DOCKER], ids=["oci", "docker"])
@pytest.mark.parametrize("name", ["docker", "podman"])
def test_a_client_picks_its_platform(
    name: str, flavour: Flavour, clients: Clients, registry: Registry
) -> None:
    client, index = clients(name), multi_platform(10 + (flavour is OCI), flavour)
    repository = f"picked/{name}"
    flows.push(registry, repository, index, "v1")
    client.login(registry)
    found = client.pull(f"{registry.login_server}/{repository}:v1")
    assert (found.config, found.diff_ids) == (
        index.images[0].config.digest,
        index.images[0].diff_ids,
    )


def test_ctr_pulls_an_index_with_all_its_platforms(clients: Clients, registry: Registry) -> None:
    ctr, index = clients("ctr"), multi_platform(3)
    assert isinstance(ctr, Ctr)
    reference = f"{registry.login_server}/platforms/ctr:v1"
    flows.push(registry, "platforms/ctr", index, "v1")
    ctr.login(registry)
    ctr.pull_all(reference)
    held = ctr.run("content", "ls", "--quiet").split()
    for each in index.images:
        assert {each.digest, *(blob.digest for blob in each.blobs)} <= set(held)


def test_docker_inspects_the_manifests_of_an_index(clients: Clients, registry: Registry) -> None:
    docker, index = clients("docker"), multi_platform(4, DOCKER)
    flows.push(registry, "platforms/inspected", index, "v1")
    docker.login(registry)
    reference = f"{registry.login_server}/platforms/inspected:v1"
    found = json.loads(docker.run("manifest", "inspect", "--insecure", reference))
    assert [(each["digest"], each["platform"]["architecture"]) for each in found["manifests"]] == [
        (each.digest, each.platform.architecture) for each in index.images
    ]


def test_the_pulled_image_of_an_index_is_the_one_named(skopeo: Skopeo, registry: Registry) -> None:
    index = multi_platform(5)
    flows.push(registry, "platforms/named", index, "v1")
    arm = index.images[1]
    reference = f"{registry.login_server}/platforms/named@{arm.digest}"
    assert skopeo.pull(reference) == stored(arm)
