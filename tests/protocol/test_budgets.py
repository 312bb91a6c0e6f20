"""Calls to storage for each operation, counted at the emulator's own log (a row an operation).

"Cold" is a host that has just started, "warm" one that has seen the image before. What is not
counted: a look at the registry's own rows and at the account of who asks with a token, which a host
takes once a minute whatever it serves.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from infra.devhost.storage import Azurite
from tests.support import flows, images
from tests.support.hosts import ROOT, Host, Registry, running, settings_of
from tests.support.images import Blob, Image

pytestmark = [
    pytest.mark.protocol,
    pytest.mark.direct("calls to storage are counted, and the front makes none"),
    pytest.mark.xdist_group("budgets"),
]

MEBIBYTE = 1024 * 1024
CALL = re.compile(r'"[A-Z]+ (\S+) HTTP/1.1" \d+')

BUDGETS = {
    "manifest GET by tag": (2, 1),
    "manifest HEAD by tag": (1, 1),
    "manifest GET by digest": (1, 1),
    "manifest HEAD by digest": (1, 1),
    "blob HEAD": (1, 1),
    "blob GET (redirect)": (1, 1),
    "upload POST": (0, 0),
    "PATCH of 100 MiB": (13, 13),
    "PUT that finishes an upload": (3, 3),
    "the same, of content that another repository has": (5, 5),
    "mount": (3, 3),
    "mount without a source": (4, 4),
    "manifest PUT by tag, 3 references": (5, 2),
    "manifest PUT again, by a tag that is there": (5, 3),
    "push of config + 1 MiB + 100 MiB layer + manifest": (29, 26),
    "tags/list of 3 tags": (1, 1),
    "catalog page": (1, 1),
    "manifest DELETE, 3 tags point to it": (4, 4),
}
"""Calls, cold and warm. The README shows these beside the reference implementation's."""


@dataclass
class Meter:
    """Counts what the emulator logs between two marks."""

    storage: Azurite
    log: Path
    marks: int = 0
    seen: int = field(default=0)

    def lap(self) -> list[str]:
        """Give the calls since the last lap."""
        self.marks += 1
        mark = f"/mark-{self.marks}"
        httpx.get(f"http://127.0.0.1:{self.storage.ports.blob}{mark}")
        while mark not in (text := self.log.read_text()):
            time.sleep(0.01)
        calls = CALL.findall(text)
        new, self.seen = calls[self.seen :], len(calls)
        known = ("/registries(", "/accounts(", mark)
        return [call for call in new if not any(part in call for part in known)]


@dataclass(frozen=True)
class Bench:
    host: Host
    registry: Registry
    meter: Meter

    def restart(self) -> None:
        self.host.stop()
        self.host.start()
        self.meter.lap()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("budgets")
    with Azurite(folder / "data", log=folder / "calls") as storage:
        jobs = (
            "collect_garbage",
            "deliver_webhook",
            "fan_out_event",
            "revive_poison",
            "run_errand",
            "scrub_blobs",
            "sweep_garbage",
            "tend_webhooks",
            "verify_blob",
            "verify_blob_event",
            "verify_object",
            "wake_sleepers",
        )
        disabled = {f"AzureWebJobs.{job}.Disabled": "true" for job in jobs}
        settings = settings_of(storage, **disabled)
        with running(settings, folder / "host") as (host, registry):
            yield Bench(host, registry, Meter(storage, folder / "calls"))


@pytest.fixture(scope="module")
def layers() -> list[Blob]:
    sizes = (600, MEBIBYTE, 100 * MEBIBYTE)
    return [images.blob(images.random_bytes(size, seed)) for seed, size in enumerate(sizes)]


@pytest.fixture(scope="module")
def image() -> Image:
    return images.image(seed=1, layers=2)


def counted(bench: Bench, name: str, place: int, calls: list[str]) -> None:
    assert len(calls) == BUDGETS[name][place], f"{name}: {calls}"


@pytest.mark.parametrize("place", [0, 1], ids=["cold", "warm"])
def test_reads(bench: Bench, image: Image, place: int) -> None:
    name = f"budgets/reads{place}"
    flows.push(bench.registry, name, image, "v1")
    blob = image.blobs[0].digest
    requests = {
        "manifest GET by tag": ("GET", "manifests/v1"),
        "manifest HEAD by tag": ("HEAD", "manifests/v1"),
        "manifest GET by digest": ("GET", f"manifests/{image.digest}"),
        "manifest HEAD by digest": ("HEAD", f"manifests/{image.digest}"),
        "blob HEAD": ("HEAD", f"blobs/{blob}"),
        "blob GET (redirect)": ("GET", f"blobs/{blob}"),
    }
    for operation, (method, path) in requests.items():
        if place == 0:
            bench.restart()
        with flows.connect(bench.registry, name) as client:
            bench.meter.lap()
            answer = client.request(method, f"/v2/{name}/{path}")
            assert answer.status_code in {200, 307}
            counted(bench, operation, place, bench.meter.lap())


@pytest.mark.parametrize("place", [0, 1], ids=["cold", "warm"])
def test_an_upload_step_by_step(bench: Bench, layers: list[Blob], place: int) -> None:
    content = images.blob(layers[2].content + bytes([place]))
    name = f"budgets/upload{place}"
    with flows.connect(bench.registry, name) as client:
        bench.meter.lap()
        location = flows.start_upload(client, name)
        counted(bench, "upload POST", place, bench.meter.lap())

        location = flows.send_piece(client, location, content.content, 0)
        calls = bench.meter.lap()
        assert len(calls) == 13
        counted(bench, "PATCH of 100 MiB", place, calls)

        assert flows.finish_upload(client, location, content.digest).status_code == 201
        counted(bench, "PUT that finishes an upload", place, bench.meter.lap())


def test_a_mount(bench: Bench) -> None:
    content = images.blob(b"to be mounted")
    flows_source, target = "budgets/mountfrom", "budgets/mountto"
    with flows.connect(bench.registry, flows_source) as client:
        flows.push_blob(client, flows_source, content)
    scope = f"repository:{flows_source}:pull repository:{target}:pull,push"
    header = {"Authorization": flows.authorization(bench.registry, scope)}
    bench.meter.lap()
    answer = httpx.post(
        f"{bench.registry.url}/v2/{target}/blobs/uploads/",
        params={"mount": content.digest, "from": flows_source},
        headers=header,
    )
    assert answer.status_code == 201
    counted(bench, "mount", 0, bench.meter.lap())

    scope = f"repository:{flows_source}:pull repository:{target}3:pull,push"
    header = {"Authorization": flows.authorization(bench.registry, scope)}
    bench.meter.lap()
    answer = httpx.post(
        f"{bench.registry.url}/v2/{target}3/blobs/uploads/",
        params={"mount": content.digest},
        headers=header,
    )
    assert answer.status_code == 201
    counted(bench, "mount without a source", 0, bench.meter.lap())


def test_an_upload_of_known_content(bench: Bench) -> None:
    content = images.blob(b"known to another repository")
    with flows.connect(bench.registry, "budgets/first") as client:
        flows.push_blob(client, "budgets/first", content)
    name = "budgets/second"
    with flows.connect(bench.registry, name) as client:
        location = flows.send_piece(client, flows.start_upload(client, name), content.content, 0)
        bench.meter.lap()
        assert flows.finish_upload(client, location, content.digest).status_code == 201
        counted(bench, "the same, of content that another repository has", 0, bench.meter.lap())


@pytest.mark.parametrize("place", [0, 1], ids=["cold", "warm"])
def test_a_manifest(bench: Bench, image: Image, place: int) -> None:
    name = "budgets/manifest"
    with flows.connect(bench.registry, name) as client:
        for blob in image.blobs:
            flows.push_blob(client, name, blob)
        manifest = image.manifest if place == 0 else _relabelled(image)
        bench.meter.lap()
        assert flows.push_manifest(client, name, manifest, f"v{place}").status_code == 201
        counted(bench, "manifest PUT by tag, 3 references", place, bench.meter.lap())


@pytest.mark.parametrize("place", [0, 1], ids=["cold", "warm"])
def test_a_manifest_again(bench: Bench, image: Image, place: int) -> None:
    name = f"budgets/again{place}"
    flows.push(bench.registry, name, image, "v1")
    if place == 0:
        bench.restart()
    with flows.connect(bench.registry, name) as client:
        bench.meter.lap()
        assert flows.push_manifest(client, name, image.manifest, "v1").status_code == 201
        counted(bench, "manifest PUT again, by a tag that is there", place, bench.meter.lap())


@pytest.mark.parametrize("place", [0, 1], ids=["cold", "warm"])
def test_a_whole_push(bench: Bench, layers: list[Blob], place: int) -> None:
    name = "budgets/whole"
    fresh = [images.blob(bytes([place]) + layer.content[1:]) for layer in layers]
    manifest = images.document(
        {
            "schemaVersion": 2,
            "mediaType": images.OCI.manifest,
            "config": fresh[0].descriptor(),
            "layers": [layer.descriptor() for layer in fresh[1:]],
        },
        images.OCI.manifest,
    )
    with flows.connect(bench.registry, name) as client:
        bench.meter.lap()
        for blob in fresh:
            flows.push_blob(client, name, blob)
        assert flows.push_manifest(client, name, manifest, f"v{place}").status_code == 201
        operation = "push of config + 1 MiB + 100 MiB layer + manifest"
        counted(bench, operation, place, bench.meter.lap())


def test_lists_and_deletion(bench: Bench, image: Image) -> None:
    name = "budgets/lists"
    for tag in ("a", "b", "c"):
        flows.push(bench.registry, name, image, tag)
    token = flows.authorization(bench.registry, "registry:catalog:*")
    with flows.connect(bench.registry, name, "pull,delete") as client:
        bench.meter.lap()
        assert client.get(f"/v2/{name}/tags/list").json()["tags"] == ["a", "b", "c"]
        counted(bench, "tags/list of 3 tags", 0, bench.meter.lap())

        bench.meter.lap()
        listed = client.get("/v2/_catalog", headers={"Authorization": token})
        assert name in listed.json()["repositories"]
        counted(bench, "catalog page", 0, bench.meter.lap())

        assert client.delete(f"/v2/{name}/manifests/{image.digest}").status_code == 202
        operation = "manifest DELETE, 3 tags point to it"
        counted(bench, operation, 0, bench.meter.lap())


def test_the_readme_shows_these_numbers() -> None:
    rows = re.findall(r"^\| (.+?) \| .+? \| (\d+) \| (\d+) \|$", _readme(), re.MULTILINE)
    assert {name: (int(cold), int(warm)) for name, cold, warm in rows} == BUDGETS


def _readme() -> str:
    text = (ROOT / "README.md").read_text()
    return text.partition("## Calls to storage")[2].partition("## ")[0]


def _relabelled(image: Image) -> Blob:
    """Give another manifest of the same blobs."""
    content = image.manifest.content.replace(b'"schemaVersion"', b' "schemaVersion"', 1)
    return images.blob(content, image.manifest.media_type)
