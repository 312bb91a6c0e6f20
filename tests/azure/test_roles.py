"""Who may do what: each call that is made is allowed, and no role is given that no call needs."""

import ast
from collections.abc import Mapping
from fnmatch import fnmatch
from types import ModuleType

import pytest
from azure.data.tables import aio as tables
from azure.storage.blob import aio as blobs
from azure.storage.queue import aio as queues

from tests.support.app import ROOT
from tests.support.bicep import Deployed

CONTAINERS = "blobServices/containers"
OBJECTS = "blobServices/containers/blobs"
MESSAGES = "queueServices/queues/messages"
ENTITIES = "tableServices/tables/entities"

# What a role allows, below its provider, as Azure's list of built-in roles has it.
ALLOWED: Mapping[str, tuple[str, ...]] = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": (  # Storage Blob Data Owner
        f"{CONTAINERS}/*",
        "blobServices/generateUserDelegationKey/action",
    ),
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": (  # Storage Blob Data Contributor
        f"{CONTAINERS}/delete",
        f"{CONTAINERS}/read",
        f"{CONTAINERS}/write",
        f"{OBJECTS}/delete",
        f"{OBJECTS}/read",
        f"{OBJECTS}/write",
        f"{OBJECTS}/add/action",
        f"{OBJECTS}/move/action",
        "blobServices/generateUserDelegationKey/action",
    ),
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": (  # Storage Queue Data Contributor
        "queueServices/queues/delete",
        "queueServices/queues/read",
        "queueServices/queues/write",
        f"{MESSAGES}/delete",
        f"{MESSAGES}/read",
        f"{MESSAGES}/write",
        f"{MESSAGES}/process/action",
    ),
    "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a": (  # Storage Queue Data Message Sender
        f"{MESSAGES}/add/action",
    ),
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": (  # Storage Table Data Contributor
        "tableServices/tables/*",
    ),
    "12338af0-0e69-4776-bea7-57ae8d297424": (  # Key Vault Crypto User
        "keys/read",
        "keys/update/action",
        "keys/backup/action",
        "keys/encrypt/action",
        "keys/decrypt/action",
        "keys/wrap/action",
        "keys/unwrap/action",
        "keys/sign/action",
        "keys/verify/action",
    ),
    "3913510d-42f4-4e42-8a64-420c390055eb": (  # Monitoring Metrics Publisher
        "telemetry/write",
    ),
}

# What each call of the SDKs needs that the app makes.
CALLS = {
    "create_container": f"{CONTAINERS}/write",
    "list_blob_names": f"{OBJECTS}/read",
    "get_blob_properties": f"{OBJECTS}/read",
    "get_block_list": f"{OBJECTS}/read",
    "stage_block": f"{OBJECTS}/write",
    "commit_block_list": f"{OBJECTS}/write",
    "upload_blob": f"{OBJECTS}/write",
    "delete_blob": f"{OBJECTS}/delete",
    "get_user_delegation_key": "blobServices/generateUserDelegationKey/action",
    "create_queue": "queueServices/queues/write",
    "send_message": f"{MESSAGES}/write",
    "receive_messages": f"{MESSAGES}/process/action",
    "peek_messages": f"{MESSAGES}/read",
    "delete_message": f"{MESSAGES}/process/action",
    "create_table_if_not_exists": "tableServices/tables/write",
    "get_entity": f"{ENTITIES}/read",
    "query_entities": f"{ENTITIES}/read",
    "list_entities": f"{ENTITIES}/read",
    "submit_transaction": f"{ENTITIES}/write",
    "create_entity": f"{ENTITIES}/write",
    "update_entity": f"{ENTITIES}/write",
    "upsert_entity": f"{ENTITIES}/write",
    "delete_entity": f"{ENTITIES}/delete",
}
OPENS = {"close", "from_connection_string", "get_blob_client", "get_container_client"} | {
    "get_queue_client",
    "get_table_client",
}

REGISTRY = {
    **dict.fromkeys(CALLS.values(), "the registry's own storage calls"),
    "keys/read": "the public half of the key, with which the master key is wrapped and verified",
    "keys/unwrap/action": "the master key, when a process starts",
    "keys/sign/action": "the master key as it is kept, so that no other is put there",
}
HOST = {
    f"{CONTAINERS}/immutableStorage/runAsSuperUser/action": (
        "the Functions host's own storage, for which Microsoft asks for the owner of blobs"
    ),
    "telemetry/write": "figures and logs, where keys are off",
}
NEEDS: Mapping[str, Mapping[str, str]] = {
    "functions": {**REGISTRY, **HOST},
    "container": REGISTRY,
    "operator": REGISTRY,
    "package": {
        f"{OBJECTS}/write": "the platform puts the package there, by this identity",
        f"{OBJECTS}/read": "the platform starts instances from it",
    },
    "topic": {f"{MESSAGES}/add/action": "Event Grid tells the queue of new objects"},
}


def holder(principal: str) -> str:
    """Say who a principal is."""
    told = {
        "functionsIdentity-": "functions",
        "containerIdentity-": "container",
        "packageIdentity-": "package",
        "Microsoft.EventGrid/systemTopics": "topic",
        "0000000000aa": "operator",
    }
    return next(who for part, who in told.items() if part in principal)


def granted(deployed: Deployed) -> dict[str, set[str]]:
    """Give the roles of each who has some."""
    roles: dict[str, set[str]] = {}
    for it in deployed.all("Microsoft.Authorization/roleAssignments"):
        who = holder(it["properties"]["principalId"])
        roles.setdefault(who, set()).add(it["properties"]["roleDefinitionId"].rpartition("/")[2])
    return roles


def allows(role: str, action: str) -> bool:
    return any(fnmatch(action, pattern) for pattern in ALLOWED[role])


def test_the_table_has_each_call_that_the_app_makes() -> None:
    called = {
        node.func.attr
        for file in (ROOT / "shared/storage/azure").glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert called & _methods() - OPENS <= CALLS.keys()


def _methods() -> set[str]:
    modules: tuple[ModuleType, ...] = (blobs, queues, tables)
    clients = [
        getattr(module, name) for module in modules for name in dir(module) if "Client" in name
    ]
    return {name for client in clients for name in dir(client) if not name.startswith("_")}


def test_each_call_is_allowed(deployed: Deployed) -> None:
    for who, roles in granted(deployed).items():
        for action, why in NEEDS[who].items():
            assert any(allows(role, action) for role in roles), (who, action, why)


def test_no_role_is_given_that_no_call_needs(deployed: Deployed) -> None:
    for who, roles in granted(deployed).items():
        for role in roles:
            others = roles - {role}
            needed = [
                action
                for action in NEEDS[who]
                if allows(role, action) and not any(allows(other, action) for other in others)
            ]
            assert needed, (who, role)


def test_everyone_who_acts_is_granted_something(deployed: Deployed) -> None:
    has_container = bool(deployed.all("Microsoft.App/containerApps"))
    expected = {"functions", "package", "topic"} | ({"container"} if has_container else set())

    assert granted(deployed).keys() - {"operator"} == expected


def test_event_grid_may_send_to_its_queue_alone(deployed: Deployed) -> None:
    (place,) = {
        it["id"].partition("/providers/Microsoft.Authorization")[0]
        for it in deployed.all("Microsoft.Authorization/roleAssignments")
        if holder(it["properties"]["principalId"]) == "topic"
    }
    assert place.endswith("/queueServices/default/queues/blob-events")


def test_nobody_who_serves_or_operates_writes_the_code_that_runs(deployed: Deployed) -> None:
    at_package = [
        it
        for it in deployed.all("Microsoft.Authorization/roleAssignments")
        if f"storageAccounts/{deployed.package['name']}'" in it["id"]
    ]
    storage = deployed.properties("Microsoft.Web/sites")["functionAppConfig"]["deployment"]
    identity = storage["storage"]["authentication"]["userAssignedIdentityResourceId"]

    assert [holder(it["properties"]["principalId"]) for it in at_package] == ["package"]
    assert "packageIdentity-" in identity
    assert not [it for it in deployed.function_settings.values() if "packageIdentity-" in it]
    for app in deployed.all("Microsoft.App/containerApps"):
        assert not [it for it in app["identity"]["userAssignedIdentities"] if "package" in it]


def test_no_role_reaches_beyond_what_it_is_for(deployed: Deployed) -> None:
    for it in deployed.all("Microsoft.Authorization/roleAssignments"):
        assert any(
            kind in it["id"]
            for kind in ("storageAccounts/", "KeyVault/vaults/", "Insights/components/")
        )


@pytest.mark.parametrize("name", ["functions-public", "container-public"])
def test_people_are_not_taken_for_services(examples: Mapping[str, Deployed], name: str) -> None:
    for it in examples[name].all("Microsoft.Authorization/roleAssignments"):
        is_operator = holder(it["properties"]["principalId"]) == "operator"
        assert (it["properties"]["principalType"] is None) is is_operator
