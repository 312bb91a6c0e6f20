"""The real az carries out the README's commands, against an imitation of Azure, where it is there.

It is no package of ours, and large: its tests run where `az` is on PATH (from PyPI: azure-cli).
"""

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.package.commands import commands
from tests.support.azure_for_az import APP, GROUP, AzureForAz
from tests.support.hosts import ROOT
from tests.support.tools import SYSTEM_PATH, brought, environment
from tests.support.waiting import until

pytestmark = [pytest.mark.protocol, pytest.mark.xdist_group("package")]

SECONDS = 60


class Az:
    """The program, signed in at the imitation, with a folder of settings of its own."""

    def __init__(self, azure: AzureForAz, folder: Path) -> None:
        programs = brought("az").parent, brought("bicep").parent
        self._environment = environment(
            PATH=":".join([*map(str, programs), SYSTEM_PATH]),
            HOME=str(folder),
            AZURE_CONFIG_DIR=str(folder / "az"),
            AZURE_CORE_COLLECT_TELEMETRY="no",
            AZURE_BICEP_USE_BINARY_FROM_PATH="true",
            AZURE_BICEP_CHECK_VERSION="false",
            DOTNET_SYSTEM_GLOBALIZATION_INVARIANT="1",
            REQUESTS_CA_BUNDLE=str(azure.certificate),
            IDENTITY_ENDPOINT=f"https://{azure.address}/identity",
            IDENTITY_HEADER="a header",
        )
        cloud = ("--name", "tests", "--skip-endpoint-discovery", "--cloud-config")
        self.run(["az", "cloud", "register", *cloud, json.dumps(azure.cloud())])
        self.run(["az", "cloud", "set", "--name", "tests"])
        self.run(["az", "login", "--identity"])

    def start(self, words: Sequence[str]) -> subprocess.Popen[str]:
        """Start a command in the repository."""
        return subprocess.Popen(
            words,
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, words: Sequence[str]) -> str:
        """Run a command, and give what it says; fail where it does."""
        with self.start(words) as running:
            said, _ = running.communicate()
        assert running.returncode == 0, (words, said)
        return said


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureForAz]:
    brought("az")
    with AzureForAz(tmp_path_factory.mktemp("azure")) as azure:
        yield azure


@pytest.fixture(scope="module")
def az(azure: AzureForAz, tmp_path_factory: pytest.TempPathFactory) -> Az:
    return Az(azure, tmp_path_factory.mktemp("az"))


def test_the_deployment_is_compiled_asked_about_and_made(azure: AzureForAz, az: Az) -> None:
    az.run(commands()["az deployment sub create"])
    validated, put = [one for one in azure.asked if "/deployments/registry" in one.path][:2]
    assert (validated.method, put.method) == ("POST", "PUT")
    assert validated.path == f"{put.path}/validate"
    body = put.body.replace(b", template:{", b', "template":{', 1)  # as az writes it
    properties = json.loads(body)["properties"]
    assert {"RESOURCE_GROUP", "FUNCTION_APP"} <= properties["template"]["outputs"].keys()
    assert "operators" in properties["parameters"]


def test_the_package_is_published_as_it_is_and_not_built(
    azure: AzureForAz, az: Az, built: tuple[Path, str]
) -> None:
    """It is ended where it waits for a minute, with the package taken."""
    given = {"RESOURCE_GROUP": GROUP, "FUNCTION_APP": APP, "build/registry.zip": str(built[0])}
    words = commands()["az functionapp deployment source config-zip"]
    with az.start([given.get(word, word) for word in words]) as running:
        until(lambda: azure.asked[-1].path == "/api/deployments/latest", SECONDS)
        running.terminate()
    (published,) = [one for one in azure.asked if one.path == "/api/publish"]
    assert published.body == built[0].read_bytes()
    assert published.query["RemoteBuild"] == ["false"]
