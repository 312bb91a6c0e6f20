"""What helm does with charts: package, push, show, pull."""

import json
import secrets
from pathlib import Path

import pytest

from tests.support import flows, listings
from tests.support.clients import ClientError
from tests.support.go_clients import Program, logged_in
from tests.support.hosts import Registry
from tests.support.images import digest_of

pytestmark = [pytest.mark.protocol, pytest.mark.clients, pytest.mark.xdist_group("circle")]

CONFIG = "application/vnd.cncf.helm.config.v1+json"
CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
MAP = """apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data:
  answer: "{{ .Values.answer }}"
"""


@pytest.fixture
def helm(tmp_path: Path, registry: Registry) -> Program:
    return logged_in("helm", tmp_path, registry)


@pytest.fixture
def repository() -> str:
    return f"circle/helm-{secrets.token_hex(4)}"


@pytest.fixture
def here(registry: Registry, repository: str) -> str:
    return f"oci://{registry.login_server}/{repository}"


def package(helm: Program, version: str) -> Path:
    """Write a chart and package it."""
    chart = helm.folder / "source"
    (chart / "templates").mkdir(parents=True, exist_ok=True)
    (chart / "Chart.yaml").write_text(f"apiVersion: v2\nname: circle\nversion: {version}\n")
    (chart / "values.yaml").write_text("answer: 42\n")
    (chart / "templates" / "map.yaml").write_text(MAP)
    helm.run("package", str(chart))
    return helm.folder / f"circle-{version}.tgz"


@pytest.mark.parametrize(("version", "tag"), [("0.1.0", "0.1.0"), ("0.1.0+more", "0.1.0_more")])
def test_a_chart_makes_the_round_trip(
    version: str, tag: str, helm: Program, registry: Registry, repository: str, here: str
) -> None:
    packed = package(helm, version)
    helm.run("push", "--plain-http", str(packed), here)
    pulled = flows.pull(registry, f"{repository}/circle", tag)
    manifest = json.loads(pulled.manifest.content)
    assert manifest["config"]["mediaType"] == CONFIG
    (layer,) = manifest["layers"]
    assert (layer["mediaType"], layer["digest"]) == (CHART, digest_of(packed.read_bytes()))
    (helm.folder / "pulled").mkdir()
    asked = ("--plain-http", f"--version={version}", f"{here}/circle")
    helm.run("pull", "--destination=pulled", *asked)
    assert (helm.folder / "pulled" / packed.name).read_bytes() == packed.read_bytes()
    assert f"version: {version}" in helm.run("show", "chart", *asked)


def test_the_newest_version_is_found_among_the_tags(
    helm: Program, registry: Registry, repository: str, here: str
) -> None:
    for version in ("0.9.0", "0.10.0", "1.0.0-beta"):
        helm.run("push", "--plain-http", str(package(helm, version)), here)
    assert listings.tags(registry, f"{repository}/circle") == ["0.10.0", "0.9.0", "1.0.0-beta"]
    shown = helm.run("show", "chart", "--plain-http", "--version=^0", f"{here}/circle")
    assert "version: 0.10.0" in shown
    drawn = helm.run("template", "made", "--plain-http", f"{here}/circle")
    assert 'answer: "42"' in drawn


def test_a_chart_that_is_not_there_is_not_found(helm: Program, here: str) -> None:
    with pytest.raises(ClientError, match="not found"):
        helm.run("pull", "--plain-http", "--version=9.9.9", f"{here}/circle")
