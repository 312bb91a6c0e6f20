"""What the apps are told, held against what the app reads."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

import pytest

from infra.devhost.worker import Function
from infra.host.settings import Surroundings
from shared.settings import Settings, SettingsInvalid
from shared.start import read_settings
from tests.support.app import ROOT, indexed
from tests.support.bicep import FOLDER, Bicep, Deployed, plain

# Of the platform, and of the host in a container; the rest is the registry's own.
PLATFORM = {
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "AzureWebJobsStorage__credential",
    "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT",
}
HOST = {"REGISTRY_DRAIN_SECONDS", "REGISTRY_PLANE", "REGISTRY_TRUSTED_PROXIES"}
STORAGE = {
    f"AzureWebJobsStorage__{part}"
    for part in ("blobServiceUri", "clientId", "queueServiceUri", "tableServiceUri")
}
SECRET = {"REGISTRY_ADMIN_PASSWORD", "REGISTRY_MASTER_KEY", "REGISTRY_OUTBOUND_PROXY"}
OWN = {"REGISTRY_KEY_VAULT_KEY", "REGISTRY_LOGIN_SERVER", "REGISTRY_NAME", "REGISTRY_ROOT_DOMAIN"}

FORBIDDEN_ON_FLEX = re.compile(
    "FUNCTIONS_EXTENSION_VERSION|FUNCTIONS_WORKER_RUNTIME|FUNCTIONS_WORKER_PROCESS_COUNT"
    "|FUNCTIONS_MAX_HTTP_CONCURRENCY|WEBSITE_RUN_FROM_PACKAGE|WEBSITE_CONTENT.*"
    "|SCM_DO_BUILD_DURING_DEPLOYMENT|ENABLE_ORYX_BUILD|WEBSITE_TIME_ZONE|WEBSITE_VNET_ROUTE_ALL"
)


class _Asked(Mapping[str, str]):
    """An environment that notes what it is asked for."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def get(self, key: str, default: object = None) -> None:  # type: ignore[override]
        self.names.add(key)

    def __getitem__(self, key: str) -> str:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def read_by_the_app() -> set[str]:
    """Give the names that settings.py asks for."""
    asked = _Asked()
    with pytest.raises(SettingsInvalid):
        Settings.from_env(asked)
    return asked.names


def apps(deployed: Deployed) -> list[Mapping[str, str]]:
    """Give what each app is told."""
    told = [deployed.function_settings]
    if deployed.all("Microsoft.App/containerApps"):
        told.append(deployed.container_settings)
    return told


def test_the_app_starts_with_what_it_is_told(deployed: Deployed) -> None:
    for told in apps(deployed):
        settings = Settings.from_env({name: plain(value) for name, value in told.items()})

        assert settings.storage["clientId"]
        assert settings.storage["blobServiceUri"].startswith("https://")
        assert settings.login_server
        assert not settings.admin_password


def test_nothing_is_told_that_nobody_reads(deployed: Deployed) -> None:
    known = read_by_the_app() | PLATFORM | HOST | STORAGE
    for told in apps(deployed):
        assert told.keys() <= known


def offered() -> dict[str, str]:
    """Give what may be set further, and what checks.bicep says that it may be."""
    text = (FOLDER / "modules/checks.bicep").read_text()
    return dict(re.findall(r"^  (REGISTRY_\w+): (\{.*\})$", text, re.MULTILINE))


def test_what_may_be_set_is_what_is_neither_a_secret_nor_the_deployments_own() -> None:
    assert offered().keys() == read_by_the_app() - SECRET - OWN - HOST


@pytest.mark.parametrize("name", offered())
def test_what_may_be_set_is_what_the_app_takes(name: str) -> None:
    told = offered()[name]
    words = re.findall(r"'(\w+)'", told)
    numbers = [int(number) for number in re.findall(r": (\d+)", told)]
    outside = [numbers[1] + 1, numbers[0] - 1] if numbers else ["x"] if words else []

    for value in [*words, *numbers]:
        assert refused_setting(name, str(value)) is False
    for value in outside:
        assert refused_setting(name, str(value)), value


def refused_setting(name: str, value: str) -> bool:
    """Tell whether the app does not start with this."""
    needed = {"AzureWebJobsStorage": "x", "REGISTRY_MASTER_KEY": "x" * 32}
    try:
        read_settings({**needed, name: value})
    except SettingsInvalid:
        return True
    return False


def test_further_settings_reach_both_apps(examples: Mapping[str, Deployed]) -> None:
    for told in apps(examples["container-public"]):
        assert told["REGISTRY_ANONYMOUS_ACCESS"] == "pull"


def test_one_app_serves_all_or_each_serves_its_plane(deployed: Deployed) -> None:
    """A function app that answered HTTP beside the container would read bodies whole."""
    has_container = bool(deployed.all("Microsoft.App/containerApps"))
    scale = deployed.properties("Microsoft.Web/sites")["functionAppConfig"]["scaleAndConcurrency"]

    assert [told["REGISTRY_PLANE"] for told in apps(deployed)] == (
        ["events", "http"] if has_container else ["all"]
    )
    assert bool(scale["triggers"]) is not has_container
    assert ("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT" in apps(deployed)[0]) is not has_container


def test_both_apps_are_told_the_same_of_the_registry(examples: Mapping[str, Deployed]) -> None:
    for name in ("container-private", "container-public"):
        functions, container = apps(examples[name])
        differing = {"REGISTRY_LOGIN_SERVER", "REGISTRY_PLANE", "AzureWebJobsStorage__clientId"}
        for each in (functions.keys() & container.keys()) - differing:
            assert functions[each] == container[each], each


def test_no_connection_has_a_key(deployed: Deployed) -> None:
    for told in apps(deployed):
        assert "AzureWebJobsStorage" not in told
        assert told["AzureWebJobsStorage__credential"] == "managedidentity"
        assert not [name for name in told if name in SECRET]
        assert not [value for value in told.values() if "AccountKey=" in value]


def test_nothing_is_set_that_flex_forbids(deployed: Deployed) -> None:
    assert not [name for name in deployed.function_settings if FORBIDDEN_ON_FLEX.fullmatch(name)]
    site = deployed.properties("Microsoft.Web/sites")["siteConfig"]
    assert not site.keys() & {"linuxFxVersion", "alwaysOn", "healthCheckPath", "appSettings"}


def test_bodies_in_flight_are_half_of_the_memory_at_most(bicep: Bicep) -> None:
    public = bicep.varied(FOLDER / "examples/functions-public.bicepparam")
    scale = public.properties("Microsoft.Web/sites")["functionAppConfig"]["scaleAndConcurrency"]
    limit = int(public.function_settings["FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"])
    concurrency = scale["triggers"]["http"]["perInstanceConcurrency"]

    assert limit == 64 * 1024 * 1024
    assert 4 * limit * concurrency <= scale["instanceMemoryMB"] * 1024 * 1024 / 2


def test_what_the_platform_bounds_host_json_leaves_alone() -> None:
    host = json.loads((ROOT / "host.json").read_text())

    assert not host["extensions"]["http"].keys() & {
        "maxConcurrentRequests",
        "maxOutstandingRequests",
        "dynamicThrottlesEnabled",
    }
    assert "concurrency" not in host
    assert host["extensions"]["queues"]["messageEncoding"] == "base64"  # as Event Grid sends


@pytest.fixture
def functions(worker: None) -> Sequence[Function]:
    return indexed()[1]


@pytest.mark.parametrize(
    ("kind", "services"),
    [("queueTrigger", ("queue",)), ("blobTrigger", ("blob", "queue"))],
)
def test_the_connection_of_each_trigger_is_there(
    functions: Sequence[Function], deployed: Deployed, kind: str, services: tuple[str, ...]
) -> None:
    triggered = [function for function in functions if function.kind == kind]

    assert triggered
    for function in triggered:
        for service in services:
            name = f"{function.trigger['connection']}__{service}ServiceUri"
            assert name in deployed.function_settings, function.name


def test_timers_find_the_storage_of_the_host(deployed: Deployed) -> None:
    assert "AzureWebJobsStorage__blobServiceUri" in deployed.function_settings


@pytest.mark.parametrize("name", ["container-private", "container-public"])
def test_the_host_in_the_container_starts_with_what_it_is_told(
    examples: Mapping[str, Deployed], name: str
) -> None:
    read = Surroundings.read(examples[name].container_settings)

    assert read.plane == "http"
    assert not read.proxies  # until a gateway is named
