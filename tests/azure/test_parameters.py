"""Parameters that cannot work stop the deployment, and say why; those at the edge are taken."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.bicep import FOLDER, Bicep, Refused, moved

FUNCTIONS, CONTAINER, PRIVATE = "functions-public", "container-public", "functions-private"
VAULT = "/subscriptions/0/resourceGroups/c/providers/Microsoft.KeyVault/vaults/kv"
NETWORK = "/subscriptions/0/resourceGroups/n/providers/Microsoft.Network/virtualNetworks/v/subnets"


def domain(name: str, **other: str) -> Mapping[str, str]:
    return {"name": name, "vault": VAULT, "certificate": "c", **other}


def subnets(**other: str) -> Mapping[str, str]:
    each = {name: f"{NETWORK}/{name}" for name in ("functions", "containers", "endpoints")}
    return {**each, **other}


INTO = {"access": "private", "shape": "container", "image": "images.example/r:1"}

BAD: list[tuple[str, str, dict[str, Any], str]] = [
    (
        "a body that fills an instance",
        FUNCTIONS,
        {"bodyLimitMiB": 65},
        "bodyLimitMiB: 4 x 65 MiB x 4 requests at once is more than half of the 2048 MB",
    ),
    (
        "more requests than memory for them",
        FUNCTIONS,
        {"concurrentRequests": 5},
        "4 x 64 MiB x 5 requests",
    ),
    ("a small instance", FUNCTIONS, {"instanceMemoryMB": 512}, "more than half of the 512 MB"),
    (
        "a large instance, and a larger body",
        FUNCTIONS,
        {"instanceMemoryMB": 4096, "bodyLimitMiB": 129},
        "more than half of the 4096 MB",
    ),
    (
        "the risk, where strangers come",
        FUNCTIONS,
        {"acceptMemoryRisk": True},
        "acceptMemoryRisk: only a private deployment",
    ),
    (
        "a private risk that nobody took",
        PRIVATE,
        {"acceptMemoryRisk": False},
        "bodyLimitMiB: 4 x 512 MiB x 2 requests",
    ),
    (
        "a private network without one",
        FUNCTIONS,
        {"access": "private"},
        "access private: it needs a network",
    ),
    ("two networks", PRIVATE, {"subnets": subnets()}, "addressSpace and subnets: give one of them"),
    (
        "a network that nobody asked for",
        FUNCTIONS,
        {"addressSpace": "10.0.0.0/24"},
        "only access private has a network",
    ),
    (
        "zones that nobody asked for",
        FUNCTIONS,
        {"zonesGroup": "/subscriptions/0"},
        "only access private has a network",
    ),
    (
        "logs in a network that nobody asked for",
        FUNCTIONS,
        {"privateLogs": True},
        "only access private has a network",
    ),
    (
        "a network too small",
        PRIVATE,
        {"addressSpace": "10.0.0.0/25"},
        "addressSpace: 10.0.0.0/25 must be a /24 or larger",
    ),
    (
        "a container without its subnet",
        FUNCTIONS,
        {**INTO, "subnets": {"functions": "f", "endpoints": "e"}},
        "subnets: the shape container needs containers",
    ),
    (
        "one subnet for two",
        FUNCTIONS,
        {**INTO, "subnets": subnets(containers=f"{NETWORK}/functions")},
        "must be different subnets",
    ),
    ("no image", CONTAINER, {"image": ""}, "image: the shape container needs one"),
    (
        "an image for nobody",
        FUNCTIONS,
        {"image": "a.example/b:1"},
        "image: only the shape container has one",
    ),
    (
        "an image from nowhere",
        CONTAINER,
        {"image": "registry:1"},
        "must name the registry that it comes from",
    ),
    (
        "an image from itself",
        CONTAINER,
        {"image": "Registry.example.com/r:1"},
        "image: Registry.example.com/r:1 comes from this deployment",
    ),
    (
        "an image from itself, by its port",
        CONTAINER,
        {"image": "registry.example.com:443/r:1"},
        "comes from this deployment",
    ),
    (
        "an image from below itself",
        FUNCTIONS,
        {
            "shape": "container",
            "image": "a.r.example.com/r:1",
            "domains": [domain("*.r.example.com")],
        },
        "comes from this deployment",
    ),
    (
        "an image from what the function app was",
        CONTAINER,
        {"image": "func-y5lhy67g2wxku.azurewebsites.net/r:1"},
        "comes from this deployment",
    ),
    (
        "a user without a password",
        CONTAINER,
        {"imageUser": "u"},
        "imageUser, imageUserVault: give both",
    ),
    (
        "a password that nobody may read",
        CONTAINER,
        {"imageUser": "u", "imageUserVault": "https://v/secrets/p"},
        "and imageIdentity, which reads the secret",
    ),
    (
        "a wildcard without a certificate",
        FUNCTIONS,
        {"domains": [domain("*.example.com", certificate="")]},
        "domains: \\*.example.com needs a certificate",
    ),
    (
        "a name without a vault",
        FUNCTIONS,
        {"domains": [domain("r.example.com", vault="")]},
        "domains: r.example.com needs a certificate",
    ),
    (
        "two wildcards",
        FUNCTIONS,
        {"domains": [domain("*.a.example"), domain("*.b.example")]},
        "only one may begin with",
    ),
    (
        "a wildcard within",
        FUNCTIONS,
        {"domains": [domain("a.*.example")]},
        "a.\\*.example must be a name",
    ),
    (
        "no domain at all",
        FUNCTIONS,
        {"domains": [domain("registry")]},
        "domains: registry must be a name",
    ),
    (
        "a name twice",
        FUNCTIONS,
        {"domains": [domain("a.example"), domain("a.example")]},
        "domains: each name once",
    ),
    (
        "four certificates",
        FUNCTIONS,
        {"domains": [domain(f"{c}.example", certificate=c) for c in "abcd"]},
        "takes three certificates at the most",
    ),
    (
        "fewer at most than at least",
        CONTAINER,
        {"minReplicas": 11},
        "minReplicas: 11 is more than maxReplicas, 10",
    ),
    (
        "more ready than there may be",
        FUNCTIONS,
        {"alwaysReady": 101},
        "alwaysReady: 101 is more than maximumInstances, 100",
    ),
    (
        "functions ready that answer nobody",
        CONTAINER,
        {"alwaysReady": 1},
        "alwaysReady: in shape container no function answers HTTP",
    ),
    (
        "a name with a hyphen",
        FUNCTIONS,
        {"registryName": "my-registry"},
        "registryName: my-registry must be lower-case letters and digits",
    ),
    (
        "a name in capitals",
        FUNCTIONS,
        {"registryName": "Registry"},
        "registryName: Registry must be",
    ),
    (
        "a password in a file",
        FUNCTIONS,
        {"settings": {"REGISTRY_ADMIN_PASSWORD": "x"}},
        "settings: REGISTRY_ADMIN_PASSWORD cannot be set here",
    ),
    (
        "a key in a file",
        FUNCTIONS,
        {"settings": {"REGISTRY_MASTER_KEY": "x"}},
        "settings: REGISTRY_MASTER_KEY cannot be set here",
    ),
    (
        "what nobody reads",
        FUNCTIONS,
        {"settings": {"REGISTRY_ANONYMUS": "x"}},
        "settings: REGISTRY_ANONYMUS cannot be set here",
    ),
    (
        "a word that the app does not know",
        FUNCTIONS,
        {"settings": {"REGISTRY_ANONYMOUS_ACCESS": "push"}},
        "settings: REGISTRY_ANONYMOUS_ACCESS cannot be push",
    ),
    (
        "more days than there are",
        FUNCTIONS,
        {"settings": {"REGISTRY_SOFT_DELETE_DAYS": 366}},
        "settings: REGISTRY_SOFT_DELETE_DAYS cannot be 366",
    ),
    (
        "no number of days",
        FUNCTIONS,
        {"settings": {"REGISTRY_SOFT_DELETE_DAYS": "a week"}},
        "settings: REGISTRY_SOFT_DELETE_DAYS cannot be a week",
    ),
    (
        "less than a request relies on",
        FUNCTIONS,
        {"settings": {"REGISTRY_GRACE_SECONDS": 399}},
        "settings: REGISTRY_GRACE_SECONDS cannot be 399",
    ),
    (
        "a word in capitals",
        FUNCTIONS,
        {"settings": {"REGISTRY_ANONYMOUS_ACCESS": "Pull"}},
        "settings: REGISTRY_ANONYMOUS_ACCESS cannot be Pull",
    ),
    (
        "a number that begins with a zero",
        FUNCTIONS,
        {"settings": {"REGISTRY_UPLOAD_SECONDS": "0600"}},
        "settings: REGISTRY_UPLOAD_SECONDS cannot be 0600",
    ),
    *(
        (
            f"a place that the app does not know: {told}",
            FUNCTIONS,
            {"settings": {"REGISTRY_OUTBOUND_ALLOW": f"hooks.internal, {told}"}},
            told,
        )
        for told in ("10.1.2.3/16", "10.0.0.0/33", "hooks.internal:8080", "https://hooks.internal")
    ),
    (
        "a domain in capitals",
        FUNCTIONS,
        {"domains": [domain("Registry.example.com")]},
        "domains: Registry.example.com must be a name in small letters",
    ),
    (
        "a password itself",
        CONTAINER,
        {"imageIdentity": "/i", "imageUser": "u", "imageUserVault": "hunter2"},
        "imageUserVault: hunter2 must be the address of a secret",
    ),
    ("no proxies", CONTAINER, {"trustedProxies": "everybody"}, "everybody"),
    *(
        (f"a proxy anywhere: {told}", CONTAINER, {"trustedProxies": told}, f"{network} is more")
        for told, network in (
            ("0.0.0.0/0", "trustedProxies: 0.0.0.0/0"),
            ("::/0", "trustedProxies: ::/0"),
            ("10.0.0.0/16, 128.0.0.0/1", "trustedProxies: 128.0.0.0/1"),
            ("10.0.0.0/7", "trustedProxies: 10.0.0.0/7"),
            ("fd00::/31", "trustedProxies: fd00::/31"),
        )
    ),
    (
        "no address space",
        PRIVATE,
        {"addressSpace": "the intranet"},
        "the intranet",
    ),
]

GOOD: list[tuple[str, str, dict[str, Any]]] = [
    ("half of the memory", FUNCTIONS, {"bodyLimitMiB": 64, "concurrentRequests": 4}),
    (
        "half of a larger one",
        FUNCTIONS,
        {"bodyLimitMiB": 64, "concurrentRequests": 8, "instanceMemoryMB": 4096},
    ),
    (
        "settings as words, numbers and flags",
        FUNCTIONS,
        {
            "settings": {
                "REGISTRY_SOFT_DELETE_DAYS": 30,
                "REGISTRY_BLOB_REDIRECTS": False,
                "REGISTRY_SPARSE_MANIFESTS": "True",
                "REGISTRY_OUTBOUND_ALLOW": "my_hooks.Internal., 10.1.0.0/16,10.1.2.3,::1,fd12::/16",
            }
        },
    ),
    ("a proxy by its address within", CONTAINER, {"trustedProxies": "10.1.2.3/16, 10.4.0.0/24"}),
    ("the widest proxies", CONTAINER, {"trustedProxies": "10.0.0.0/8, fd00::/32"}),
    ("Container Apps' own ingress", CONTAINER, {"trustedProxies": "100.100.0.0/17"}),
    ("the risk, in private", PRIVATE, {"acceptMemoryRisk": True}),
    ("a container heeds no such rule", CONTAINER, {"bodyLimitMiB": 1000}),
    ("a /24", PRIVATE, {"addressSpace": "10.0.0.0/24"}),
    ("an image by its digest, from a port", CONTAINER, {"image": "localhost:5000/r@sha256:0"}),
    ("an image of an identity", CONTAINER, {"imageIdentity": "/subscriptions/0/i"}),
    (
        "one certificate for many names",
        FUNCTIONS,
        {"domains": [domain(f"{c}.example") for c in "abcd"]},
    ),
    (
        "Functions need no subnet for containers",
        PRIVATE,
        {"addressSpace": "", "subnets": {"functions": f"{NETWORK}/f", "endpoints": f"{NETWORK}/e"}},
    ),
    (
        "another registry of this kind",
        CONTAINER,
        {"image": "registry.other.azurecontainerapps.io/r:1"},
    ),
]


@pytest.mark.parametrize(
    ("file", "values", "told"), [row[1:] for row in BAD], ids=[row[0] for row in BAD]
)
def test_what_cannot_work_stops_with_a_message(
    bicep: Bicep, file: str, values: dict[str, Any], told: str
) -> None:
    with pytest.raises(Refused, match=told):
        bicep.varied(FOLDER / f"examples/{file}.bicepparam", **values)


@pytest.mark.parametrize(
    ("file", "values"), [row[1:] for row in GOOD], ids=[row[0] for row in GOOD]
)
def test_what_works_is_taken(bicep: Bicep, file: str, values: dict[str, Any]) -> None:
    assert bicep.varied(FOLDER / f"examples/{file}.bicepparam", **values).resources


def test_all_complaints_are_told_at_once(bicep: Bicep) -> None:
    values = {"access": "private", "bodyLimitMiB": 999, "image": "a.example/b:1"}
    with pytest.raises(Refused) as caught:
        bicep.varied(FOLDER / f"examples/{FUNCTIONS}.bicepparam", **values)

    for name in ("bodyLimitMiB", "access private", "image"):
        assert re.search(rf"(: |; ){name}: ", str(caught.value))


def test_an_image_from_the_name_that_azure_gave_is_refused_by_the_container(
    bicep: Bicep, tmp_path: Path
) -> None:
    """The name is known only when the environment is there: after main.bicep was checked."""
    file = tmp_path / "itself.bicepparam"
    given = {
        **dict.fromkeys(("imageIdentity", "imageUser", "imageUserVault"), ""),
        **dict.fromkeys(("identityId", "environmentId"), "/subscriptions/0/e"),
        **{name: {} for name in ("tags", "settings")},
        **{name: [] for name in ("domains", "certificateIds")},
        **dict.fromkeys(("minReplicas", "maxReplicas", "requestMinutes"), 4),
        "name": "registry",
        "location": "here",
        "defaultDomain": "sea-1.azurecontainerapps.io",
    }
    file.write_text(moved("using './container.bicep'\n", FOLDER / "modules", tmp_path))

    assert bicep.varied(file, image="images.example/r:1", **given).resources
    with pytest.raises(Refused, match="comes from this deployment"):
        bicep.varied(file, image="registry.sea-1.azurecontainerapps.io:443/r:1", **given)
