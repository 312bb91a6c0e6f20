"""A private deployment is reached from its network alone, and a public one has no network."""

import re
from collections.abc import Mapping

import pytest

from tests.support.bicep import FOLDER, Bicep, Deployed

PRIVATE = ["container-private", "functions-private"]
PUBLIC = ["container-public", "functions-domains", "functions-public"]

# Every door to what the registry keeps, and the zone in which its private address is found.
DOORS = {
    "blob": "privatelink.blob.",
    "queue": "privatelink.queue.",
    "table": "privatelink.table.",
    "vault": "privatelink.vaultcore.",
    "sites": "privatelink.azurewebsites.net",
}
ACCOUNTS = {"content": {"blob", "queue", "table"}, "package": {"blob"}}
MONITOR = {
    "privatelink.monitor.azure.com",
    "privatelink.oms.opinsights.azure.com",
    "privatelink.ods.opinsights.azure.com",
    "privatelink.agentsvc.azure-automation.net",
}


def spelled(zone: str) -> str:
    """Spell a zone's name as far as it is the same in each of Azure's clouds."""
    if "'.vaultcore.'" in zone:
        return DOORS["vault"]
    if service := re.search(r"privatelink\.\{0\}\.\{1\}', '(\w+)'", zone):
        return f"privatelink.{service[1]}."
    return next((known for known in {DOORS["sites"], *MONITOR} if known in zone), zone)


def doors(deployed: Deployed) -> list[tuple[str, str, list[str]]]:
    """Give what each private endpoint is called, which service it leads to, and its zones."""
    found = []
    for endpoint in deployed.all("Microsoft.Network/privateEndpoints"):
        (connection,) = endpoint["properties"]["privateLinkServiceConnections"]
        (door,) = connection["properties"]["groupIds"]
        (group,) = [
            it
            for it in deployed.all("Microsoft.Network/privateEndpoints/privateDnsZoneGroups")
            if it["name"] == f"{endpoint['name']}/default"
        ]
        zones = [
            spelled(config["properties"]["privateDnsZoneId"])
            for config in group["properties"]["privateDnsZoneConfigs"]
        ]
        found.append((endpoint["name"], door, zones))
    return found


@pytest.fixture(params=PRIVATE)
def private(request: pytest.FixtureRequest, examples: Mapping[str, Deployed]) -> Deployed:
    return examples[request.param]


def test_every_door_has_a_private_address_and_a_name_for_it(private: Deployed) -> None:
    found = [it for it in doors(private) if it[1] != "azuremonitor"]

    assert all(zones == [DOORS[door]] for _, door, zones in found)
    for account, services in ACCOUNTS.items():
        name = getattr(private, account)["name"]
        assert {door for endpoint, door, _ in found if f"-{name}-" in endpoint} == services
    assert sorted(door for _, door, _ in found) == sorted([*DOORS, "blob"])


def test_logs_stay_in_a_network_that_is_made(examples: Mapping[str, Deployed]) -> None:
    made = examples["functions-private"]
    ((_, _, zones),) = [it for it in doors(made) if it[1] == "azuremonitor"]
    scope = made.properties("Microsoft.Insights/privateLinkScopes")
    linked = made.all("Microsoft.Insights/privateLinkScopes/scopedResources")

    assert set(zones) == {*MONITOR, DOORS["blob"]}
    assert scope["accessModeSettings"]["ingestionAccessMode"] == "PrivateOnly"
    assert sorted(it["name"].rpartition("/")[2] for it in linked) == ["insights", "workspace"]
    assert ingestion(made) == ["Disabled", "Disabled"]


def test_logs_stay_in_a_network_that_is_there_where_that_is_asked_for(
    examples: Mapping[str, Deployed], bicep: Bicep
) -> None:
    there = examples["container-private"]
    asked = bicep.varied(FOLDER / "examples/container-private.bicepparam", privateLogs=True)

    assert not there.all("Microsoft.Insights/privateLinkScopes")
    assert ingestion(there) == ["Enabled", "Enabled"]
    assert asked.one("Microsoft.Insights/privateLinkScopes")
    assert ingestion(asked) == ["Disabled", "Disabled"]


def ingestion(deployed: Deployed) -> list[str]:
    """Say who may send logs and figures from the public network."""
    kinds = ("Microsoft.Insights/components", "Microsoft.OperationalInsights/workspaces")
    return [deployed.properties(kind)["publicNetworkAccessForIngestion"] for kind in kinds]


def test_nothing_is_open_to_the_world(private: Deployed) -> None:
    account, package = (it["properties"] for it in (private.content, private.package))
    vault = private.properties("Microsoft.KeyVault/vaults")

    assert account["networkAcls"] == {"defaultAction": "Deny", "bypass": "AzureServices"}
    assert package["networkAcls"] == {"defaultAction": "Deny", "bypass": "None"}
    assert package["publicNetworkAccess"] == "Disabled"
    assert vault["networkAcls"]["defaultAction"] == "Deny"
    assert vault["publicNetworkAccess"] == "Disabled"
    assert private.properties("Microsoft.Web/sites")["publicNetworkAccess"] == "Disabled"
    for environment in private.all("Microsoft.App/managedEnvironments"):
        assert environment["properties"]["publicNetworkAccess"] == "Disabled"
        assert environment["properties"]["vnetConfiguration"]["internal"] is True


def test_the_zones_are_made_and_linked_or_are_there(
    examples: Mapping[str, Deployed], bicep: Bicep
) -> None:
    made = examples["functions-private"]
    names = {spelled(it["name"]) for it in made.all("Microsoft.Network/privateDnsZones")}

    assert names == {*DOORS.values(), *MONITOR}
    assert len(made.all("Microsoft.Network/privateDnsZones/virtualNetworkLinks")) == len(names)
    there = examples["container-private"]
    for group in there.all("Microsoft.Network/privateEndpoints/privateDnsZoneGroups"):
        (config,) = group["properties"]["privateDnsZoneConfigs"]
        assert "/resourceGroups/network/" in config["properties"]["privateDnsZoneId"].replace(
            "'", "/"
        )


def test_what_goes_out_has_subnets_of_its_own_and_a_gateway(
    examples: Mapping[str, Deployed],
) -> None:
    network = examples["functions-private"].properties("Microsoft.Network/virtualNetworks")
    subnets = {it["name"]: it["properties"] for it in network["subnets"]}

    assert subnets.keys() == {"functions", "containers", "endpoints"}
    assert len({it["addressPrefix"] for it in subnets.values()}) == len(subnets)
    for name in ("functions", "containers"):
        (delegation,) = subnets[name]["delegations"]
        assert delegation["properties"]["serviceName"] == "Microsoft.App/environments"
        assert subnets[name]["natGateway"]["id"]
    assert not [it for it in subnets.values() if it.get("serviceEndpoints")]  # Flex bears none


def test_each_app_goes_through_its_own_subnet(examples: Mapping[str, Deployed]) -> None:
    deployed = examples["container-private"]
    functions = deployed.properties("Microsoft.Web/sites")["virtualNetworkSubnetId"]
    environment = deployed.properties("Microsoft.App/managedEnvironments")["vnetConfiguration"]

    assert functions.endswith("/registry-functions")
    assert environment["infrastructureSubnetId"].endswith("/registry-containers")
    assert not deployed.all("Microsoft.Network/virtualNetworks")


def test_who_is_in_the_network_finds_the_container(examples: Mapping[str, Deployed]) -> None:
    (zone,) = examples["container-private"].all("Microsoft.Network/privateDnsZones")
    (record,) = examples["container-private"].all("Microsoft.Network/privateDnsZones/A")

    assert "outputs.defaultDomain" in zone["name"]
    assert "outputs.address" in record["properties"]["aRecords"][0]["ipv4Address"]


def test_redirects_lead_to_storage_from_within_too(private: Deployed) -> None:
    assert "REGISTRY_BLOB_REDIRECTS" not in private.function_settings


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_deployment_has_no_network(examples: Mapping[str, Deployed], name: str) -> None:
    deployed = examples[name]

    assert not [it for it in deployed.resources if it["type"].startswith("Microsoft.Network/")]
    assert deployed.properties("Microsoft.Web/sites")["virtualNetworkSubnetId"] is None
    for account in (deployed.content, deployed.package):
        assert account["properties"]["networkAcls"]["defaultAction"] == "Allow"
    assert ingestion(deployed) == ["Enabled", "Enabled"]


def test_the_examples_are_all_looked_at() -> None:
    files = {file.stem for file in (FOLDER / "examples").glob("*.bicepparam")}
    assert files == {*PRIVATE, *PUBLIC}
