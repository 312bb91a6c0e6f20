"""How many events what clients do is, and how many --tagged-only leaves: the examples' page.

Each manifest that is put is one.
"""

import json
import re
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.events import Cause, ManifestPushed
from shared.model.names import RepositoryName
from shared.model.webhooks.webhook import Webhook
from shared.services.webhooks.hearing import hears
from tests.support import flows
from tests.support.clients import keep_credentials
from tests.support.go_clients import Program, by_address, logged_in
from tests.support.go_daemons import Buildkit
from tests.support.hosts import Registry
from tests.support.images import Blob, image, random_bytes
from tests.support.wiretap import Asked, tapped

pytestmark = [
    pytest.mark.protocol,
    pytest.mark.clients,
    pytest.mark.direct("what clients send is counted before a front has it"),
    pytest.mark.xdist_group("circle"),
]

PAGE = Path(__file__).parents[2] / "infra/examples/README.md"
SIGN = ("sign", "--yes", "--key=cosign.key", "--allow-http-registry")
CLASSIC = ("--new-bundle-format=false", "--use-signing-config=false", "--tlog-upload=false")
NOW = datetime.now(UTC)
TAGGED_ONLY = Webhook("tagged", "0" * 32, NOW - timedelta(days=1), is_tagged_only=True)


@pytest.fixture
def repository() -> str:
    return f"circle/events-{secrets.token_hex(4)}"


def told(about: str) -> list[int]:
    """Give what the page's row says: events, of these tagged, and with --tagged-only."""
    (row,) = (line for line in PAGE.read_text().splitlines() if line.startswith(f"| {about}"))
    return [int(number) for number in re.findall(r"\| (\d+)", row)]


def caused(registry: Registry, repository: str, asked: list[Asked]) -> list[ManifestPushed]:
    """Give the pushes that were asked for."""
    of = f"/v2/{repository}/manifests/"
    references = [
        each.path.removeprefix(of)
        for each in asked
        if each.method == "PUT" and each.path.startswith(of)
    ]
    with flows.connect(registry, repository, "pull") as client:
        return [_pushed(flows.pull_manifest(client, repository, name), name) for name in references]


def _pushed(manifest: Blob, reference: str) -> ManifestPushed:
    tag = "" if reference.startswith("sha256:") else reference
    subject = json.loads(manifest.content).get("subject", {}).get("digest", "")
    cause = Cause("a client")
    return ManifestPushed(manifest.digest, tag, manifest.media_type, 1, cause, NOW, subject)


def counted(pushes: list[ManifestPushed]) -> list[int]:
    of = RepositoryName("team/app")
    heard = [push for push in pushes if hears(TAGGED_ONLY, push, of).is_heard]
    return [len(pushes), len([push for push in pushes if push.tag]), len(heard)]


@pytest.mark.parametrize(
    ("about", "options"),
    [
        ("`docker buildx build --push`, one", ["--opt=attest:provenance=mode=min"]),
        ("the same with `--provenance=false`", []),
        (
            "`docker buildx build --push`, two",
            ["--opt=attest:provenance=mode=min", "--opt=platform=linux/amd64,linux/arm64"],
        ),
    ],
)
def test_a_build_is_so_many_events(
    about: str,
    options: list[str],
    buildkit: Buildkit,
    registry: Registry,
    repository: str,
    tmp_path: Path,
) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY first /first\n")
    (tmp_path / "first").write_bytes(random_bytes(10_000, secrets.randbits(30)))
    with tapped(registry) as (tap, asked):
        keep_credentials(tmp_path / ".docker" / "config.json", tap)
        Program("buildctl", tmp_path).run(
            f"--addr={buildkit.address}",
            "build",
            "--frontend=dockerfile.v0",
            f"--local=context={tmp_path}",
            f"--local=dockerfile={tmp_path}",
            f"--output=type=image,name={tap.login_server}/{repository}:v1,push=true",
            *options,
        )

    assert counted(caused(registry, repository, asked)) == told(about)


@pytest.mark.parametrize("about", ["`cosign sign`, version 3", "`cosign sign`, classic"])
def test_a_signature_is_so_many_events(
    about: str, registry: Registry, repository: str, tmp_path: Path
) -> None:
    built = image(21)
    flows.push(registry, repository, built, "v1")
    options = CLASSIC if "classic" in about else ("--signing-config=offline.json",)
    with tapped(by_address(registry)) as (tap, asked):
        cosign = logged_in("cosign", tmp_path, tap)
        cosign.run("generate-key-pair")
        cosign.run("signing-config", "create", "--out=offline.json")
        cosign.run(*SIGN, *options, f"{tap.login_server}/{repository}@{built.digest}")

    assert counted(caused(registry, repository, asked)) == told(about)
