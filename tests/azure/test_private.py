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


def spelled(zone: str) -> str:
    """Spell a zone's name as far as it is the same in each of Azure's clouds."""
    if "'.vaultcore.'" in zone:
        return DOORS["vault"]
    if service := re.search(r"privatelink\.\{0\}\.\{1\}', '(\w+)'", zone):
        return f"privatelink.{service[1]}."
    return DOORS["sites"] if DOORS["sites"] in zone else zone


@pytest.fixture(params=PRIVATE)
def private(request: pytest.FixtureRequest, examples: Mapping[str, Deployed]) -> Deployed:
    return examples[request.param]


def test_every_door_has_a_private_address_and_a_name_for_it(private: Deployed) -> None:
    doors = {}
    for endpoint in private.all("Microsoft.Network/privateEndpoints"):
        (connection,) = endpoint["properties"]["privateLinkServiceConnections"]
        (door,) = connection["properties"]["groupIds"]
        (group,) = [
            it
            for it in private.all("Microsoft.Network/privateEndpoints/privateDnsZoneGroups")
            if it["name"] == f"{endpoint['name']}/default"
        ]
        (config,) = group["properties"]["privateDnsZoneConfigs"]
        doors[door] = config["properties"]["privateDnsZoneId"]

    assert {door: spelled(zone) for door, zone in doors.items()} == DOORS


def test_nothing_is_open_to_the_world(private: Deployed) -> None:
    account = private.properties("Microsoft.Storage/storageAccounts")
    vault = private.properties("Microsoft.KeyVault/vaults")

    assert account["networkAcls"] == {"defaultAction": "Deny", "bypass": "AzureServices"}
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

    assert names == set(DOORS.values())
    assert len(made.all("Microsoft.Network/privateDnsZones/virtualNetworkLinks")) == len(DOORS)
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
    account = deployed.properties("Microsoft.Storage/storageAccounts")
    assert account["networkAcls"]["defaultAction"] == "Allow"


def test_the_examples_are_all_looked_at() -> None:
    files = {file.stem for file in (FOLDER / "examples").glob("*.bicepparam")}
    assert files == {*PRIVATE, *PUBLIC}
