"""What is deployed keeps no door open, and agrees with what the app expects of its storage."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from shared.storage import keys
from tests.support.bicep import FOLDER, Bicep, Deployed

CONTAINERS = ["container-private", "container-public"]


def test_storage_knows_identities_alone(deployed: Deployed) -> None:
    for account in (deployed.content["properties"], deployed.package["properties"]):
        assert account["allowSharedKeyAccess"] is False
        assert account["allowBlobPublicAccess"] is False
        assert account["minimumTlsVersion"] == "TLS1_2"
        assert account["supportsHttpsTrafficOnly"] is True


def test_what_the_app_makes_by_itself_is_left_to_it(deployed: Deployed) -> None:
    """An empty table in a lost one's place looks like a registry that needs nothing."""
    made = {
        it["name"].rpartition("/")[2]
        for it in deployed.resources
        if it["type"].startswith("Microsoft.Storage/storageAccounts/")
        and it["name"].startswith(f"{deployed.content['name']}/")
    }
    assert made == {"default", "blob-events"}
    assert not made & {*keys.TABLES, keys.CONTAINER, keys.REGISTRIES}
    assert not deployed.all("Microsoft.Storage/storageAccounts/tableServices")


def test_the_package_is_where_nothing_else_is(deployed: Deployed) -> None:
    storage = deployed.properties("Microsoft.Web/sites")["functionAppConfig"]["deployment"][
        "storage"
    ]
    containers = deployed.all("Microsoft.Storage/storageAccounts/blobServices/containers")

    assert [it["name"] for it in containers] == [f"{deployed.package['name']}/default/package"]
    assert "format('package-{0}'" in storage["value"]  # the module of that account
    assert storage["value"].endswith(".outputs.blobEndpoint.value, 'package')]")


def test_what_was_removed_can_be_brought_back(deployed: Deployed) -> None:
    for blobs in deployed.all("Microsoft.Storage/storageAccounts/blobServices"):
        for policy in ("deleteRetentionPolicy", "containerDeleteRetentionPolicy"):
            assert blobs["properties"][policy] == {"enabled": True, "days": 7}


def test_the_queue_is_told_of_new_objects_of_content(deployed: Deployed) -> None:
    told = deployed.properties("Microsoft.EventGrid/systemTopics/eventSubscriptions")
    delivery = told["deliveryWithResourceIdentity"]

    assert delivery["identity"] == {"type": "SystemAssigned"}
    assert delivery["destination"]["endpointType"] == "StorageQueue"
    assert delivery["destination"]["properties"]["queueName"] == "blob-events"
    assert told["filter"] == {
        "includedEventTypes": ["Microsoft.Storage.BlobCreated"],
        "subjectBeginsWith": f"/blobServices/default/containers/{keys.CONTAINER}/blobs/",
    }
    topic = deployed.one("Microsoft.EventGrid/systemTopics")
    assert topic["identity"] == {"type": "SystemAssigned"}
    assert (
        topic["properties"]["source"]
        == delivery["destination"]["properties"]["resourceId"]
        == deployed.content["id"]
    )


def test_the_key_cannot_be_lost_by_accident(deployed: Deployed) -> None:
    vault = deployed.properties("Microsoft.KeyVault/vaults")

    assert vault["enablePurgeProtection"] is True
    assert vault["softDeleteRetentionInDays"] == 90
    assert vault["enableRbacAuthorization"] is True
    assert "accessPolicies" not in vault
    assert vault["createMode"] == "default"


def test_the_key_wraps_and_signs_and_does_nothing_else(deployed: Deployed) -> None:
    key = deployed.properties("Microsoft.KeyVault/vaults/keys")

    assert (key["kty"], key["keyOps"]) == ("RSA", ["wrapKey", "unwrapKey", "sign", "verify"])
    assert not deployed.all("Microsoft.KeyVault/vaults/secrets")


def test_a_vault_that_was_deleted_comes_back_where_that_is_asked_for(bicep: Bicep) -> None:
    file = FOLDER / "examples/functions-public.bicepparam"
    recovered = bicep.varied(file, recoverVault=True)

    assert recovered.properties("Microsoft.KeyVault/vaults")["createMode"] == "recover"


def test_a_second_deployment_changes_nothing(
    bicep: Bicep, examples: Mapping[str, Deployed]
) -> None:
    for name in ("container-private", "functions-private"):
        assert bicep.deployed(FOLDER / f"examples/{name}.bicepparam") == examples[name]


def test_another_name_or_region_is_another_deployment(bicep: Bicep) -> None:
    file = FOLDER / "examples/functions-public.bicepparam"
    deployments = [{}, {"environmentName": "other"}, {"location": "northeurope"}]
    accounts = {bicep.varied(file, **values).content["name"] for values in deployments}
    assert len(accounts) == len(deployments)


def test_logs_and_figures_know_identities_alone(deployed: Deployed) -> None:
    assert deployed.properties("Microsoft.Insights/components")["DisableLocalAuth"] is True
    workspace = deployed.properties("Microsoft.OperationalInsights/workspaces")
    assert workspace["features"]["disableLocalAuth"] is True


def test_nobody_deploys_with_a_password(deployed: Deployed) -> None:
    ways = deployed.all("Microsoft.Web/sites/basicPublishingCredentialsPolicies")

    assert sorted(way["name"].rpartition("/")[2] for way in ways) == ["ftp", "scm"]
    assert not [way for way in ways if way["properties"]["allow"]]


def test_the_function_app_is_what_the_package_was_made_for(deployed: Deployed) -> None:
    app = deployed.one("Microsoft.Web/sites")
    config = app["properties"]["functionAppConfig"]

    assert app["tags"]["azd-service-name"] == "registry"  # as azure.yaml calls it
    assert app["properties"]["httpsOnly"] is True
    assert config["runtime"] == {"name": "python", "version": "3.13"}
    assert config["deployment"]["storage"]["authentication"]["type"] == "UserAssignedIdentity"
    assert deployed.one("Microsoft.Web/serverfarms")["sku"]["name"] == "FC1"


def test_instances_wait_for_requests_where_that_is_asked_for(
    examples: Mapping[str, Deployed],
) -> None:
    for name, expected in (
        ("functions-private", [{"name": "http", "instanceCount": 1}]),
        ("functions-public", []),
    ):
        config = examples[name].properties("Microsoft.Web/sites")["functionAppConfig"]
        assert config["scaleAndConcurrency"]["alwaysReady"] == expected


def test_no_resource_holds_a_key(deployed: Deployed) -> None:
    text = json.dumps(deployed.resources).lower()

    for word in ("accountkey", "sharedaccess", "listkeys", "sig="):
        assert word not in text


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_platform_asks_the_container_how_it_is(
    examples: Mapping[str, Deployed], name: str
) -> None:
    app = examples[name].properties("Microsoft.App/containerApps")
    (container,) = app["template"]["containers"]
    probes = {probe["type"]: probe["httpGet"] for probe in container["probes"]}

    assert app["configuration"]["ingress"]["targetPort"] == 8080
    assert probes == {
        "Startup": {"path": "/health/live", "port": 8081},
        "Liveness": {"path": "/health/live", "port": 8081},
        "Readiness": {"path": "/health/ready", "port": 8081},
    }
    assert container["args"] == ["--health-port", "8081"]


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_request_may_end_before_its_replica_does(
    examples: Mapping[str, Deployed], name: str
) -> None:
    template = examples[name].properties("Microsoft.App/containerApps")["template"]
    drain = int(examples[name].container_settings["REGISTRY_DRAIN_SECONDS"])

    assert template["terminationGracePeriodSeconds"] > drain
    assert template["terminationGracePeriodSeconds"] <= 600  # what Container Apps allows
    assert drain * 0.8 >= 240
    assert template["scale"]["minReplicas"] == 2


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_container_is_reached_by_tls_alone(examples: Mapping[str, Deployed], name: str) -> None:
    ingress = examples[name].properties("Microsoft.App/containerApps")["configuration"]["ingress"]

    assert ingress["external"] is True
    assert ingress["allowInsecure"] is False
    assert not examples[name].container_settings["REGISTRY_TRUSTED_PROXIES"]


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_containers_logs_reach_the_workspace_without_a_key(
    examples: Mapping[str, Deployed], name: str
) -> None:
    environment = examples[name].properties("Microsoft.App/managedEnvironments")
    logs = examples[name].properties("Microsoft.Insights/diagnosticSettings")["logs"]

    assert environment["appLogsConfiguration"] == {"destination": "azure-monitor"}
    assert {log["category"] for log in logs if log["enabled"]} == {
        "ContainerAppConsoleLogs",
        "ContainerAppSystemLogs",
    }


def test_an_image_is_pulled_by_nobody_an_identity_or_with_a_password(
    bicep: Bicep, examples: Mapping[str, Deployed]
) -> None:
    def configuration(deployed: Deployed) -> Any:
        return deployed.properties("Microsoft.App/containerApps")["configuration"]

    by_identity = bicep.varied(
        FOLDER / "examples/container-public.bicepparam", imageIdentity="/subscriptions/0/i"
    )
    anybody, password = (
        configuration(examples[f"container-{name}"]) for name in ("public", "private")
    )

    assert (anybody["registries"], anybody["secrets"]) == ([], [])
    server = {"server": "images.example.net"}
    assert configuration(by_identity)["registries"] == [
        {**server, "identity": "/subscriptions/0/i"}
    ]
    assert password["registries"] == [
        {**server, "username": "puller", "passwordSecretRef": "image-password"}
    ]
    (secret,) = password["secrets"]
    assert set(secret) == {"name", "keyVaultUrl", "identity"}


def test_longer_requests_are_premium_ingress(examples: Mapping[str, Deployed]) -> None:
    long, usual = (
        examples[name].properties("Microsoft.App/managedEnvironments") for name in CONTAINERS
    )

    assert usual["ingressConfiguration"] is None
    assert long["ingressConfiguration"]["requestIdleTimeout"] == 30
    (machines,) = [
        profile
        for profile in long["workloadProfiles"]
        if profile["name"] == long["ingressConfiguration"]["workloadProfileName"]
    ]
    assert machines["minimumCount"] == 2


def test_the_registry_is_named_by_its_first_domain_that_is_no_wildcard(
    bicep: Bicep, examples: Mapping[str, Deployed]
) -> None:
    by_name = examples["functions-domains"].function_settings
    assert by_name["REGISTRY_LOGIN_SERVER"] == "registry.example.com"
    assert by_name["REGISTRY_ROOT_DOMAIN"] == "registries.example.com"

    file = FOLDER / "examples/functions-public.bicepparam"
    below = {"name": "*.r.example", "vault": "/v", "certificate": "c"}
    by_root = bicep.varied(file, domains=[below]).function_settings
    assert by_root["REGISTRY_LOGIN_SERVER"] == "registry.r.example"


def test_each_domain_is_bound_with_its_certificate(examples: Mapping[str, Deployed]) -> None:
    bound = examples["functions-domains"].all("Microsoft.Web/sites/hostNameBindings")
    ingress = examples["container-public"].properties("Microsoft.App/containerApps")[
        "configuration"
    ]["ingress"]

    assert [it["name"].rpartition("/")[2] for it in bound] == [
        "registry.example.com",
        "*.registries.example.com",
    ]
    assert all(it["properties"]["sslState"] == "SniEnabled" for it in bound)
    assert [(it["name"], it["bindingType"]) for it in ingress["customDomains"]] == [
        ("registry.example.com", "SniEnabled"),
        ("images.example.com", "SniEnabled"),
    ]


def test_what_operators_need_is_told_in_the_end(deployed: Deployed) -> None:
    assert deployed.outputs.keys() >= {
        "LOGIN_SERVER",
        "FUNCTION_APP",
        "RESOURCE_GROUP",
        "AzureWebJobsStorage__blobServiceUri",
        "AzureWebJobsStorage__queueServiceUri",
        "AzureWebJobsStorage__tableServiceUri",
        "REGISTRY_KEY_VAULT_KEY",
        "REGISTRY_NAME",
    }
