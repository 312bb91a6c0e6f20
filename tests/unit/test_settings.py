from datetime import timedelta
from ipaddress import ip_network

import pytest

from shared.model.outbound.egress import Allowed
from shared.settings import LONGEST_URL_LIFE, Settings, SettingsInvalid
from shared.storage.azure import blobs as azure_blobs
from shared.storage.azure.connections import open_ports
from shared.storage.master_key.source import GivenKey
from shared.storage.rows.registries import RegistryRecord, RegistryRecords
from tests.support.app import LONG_AGO, Memory

KEY = "k" * 32
LEAST = {"REGISTRY_MASTER_KEY": KEY, "AzureWebJobsStorage": "UseDevelopmentStorage=true"}

FAULTS = [
    ("REGISTRY_NAME", "abcd", "must be 5 to 50"),
    ("REGISTRY_NAME", "Registry", "must be 5 to 50"),
    ("REGISTRY_NAME", "a" * 51, "must be 5 to 50"),
    ("REGISTRY_NAME", "my-registry", "must be 5 to 50"),
    ("REGISTRY_MASTER_KEY", "k" * 31, "must be a secret of 32 or more"),
    ("REGISTRY_MASTER_KEY", "k" * 1_024, "at most 1,023 bytes"),
    ("REGISTRY_MASTER_KEY", "ä" * 512, "at most 1,023 bytes"),
    ("REGISTRY_MASTER_KEY", "k" * 32 + "\udcff", "must be a secret"),
    ("REGISTRY_KEY_VAULT_KEY", "http://v.vault.azure.net/keys/k", "must be the identifier of"),
    ("REGISTRY_KEY_VAULT_KEY", "https://v.vault.azure.net/keys/k/0a1b", "without its version"),
    ("REGISTRY_KEY_VAULT_KEY", "https://v.vault.azure.net/secrets/k", "https://NAME.vault"),
    ("REGISTRY_KEY_VAULT_KEY", "https://user@v.vault.azure.net/keys/k", "must be the identifier"),
    ("REGISTRY_LOGIN_SERVER", "https://reg.example", "must be a host, or a host and a port"),
    ("REGISTRY_LOGIN_SERVER", "reg.example:x", "must be a host, or a host and a port"),
    ("REGISTRY_BLOB_REDIRECTS", "yes", "must be true or false"),
    ("REGISTRY_SPARSE_MANIFESTS", "1", "must be true or false"),
    ("REGISTRY_ANONYMOUS_ACCESS", "push", "must be one of none, pull, all"),
    ("REGISTRY_MOUNT_DISCOVERY", "all", "must be one of token, caller"),
    ("REGISTRY_PLANE", "HTTP", "must be one of all, http, events"),
    ("REGISTRY_SOFT_DELETE_DAYS", "366", "must be a whole number of days, 0 to 365"),
    ("REGISTRY_SOFT_DELETE_DAYS", "-1", "must be a whole number of days"),
    ("REGISTRY_SOFT_DELETE_DAYS", "\N{ARABIC-INDIC DIGIT ONE}", "must be a whole number of days"),
    ("REGISTRY_WEBHOOK_EVENT_DAYS", "0", "must be a whole number of days, 1 to 365"),
    ("REGISTRY_SCRUB_BYTES_PER_DAY", "-1", "must be a whole number, 0 or more"),
    ("REGISTRY_SCRUB_BYTES_PER_DAY", "1 GiB", "must be a whole number"),
    ("REGISTRY_UPLOAD_SECONDS", "0", "must be a whole number of seconds"),
    ("REGISTRY_GRACE_SECONDS", "-1", "must be a whole number of seconds"),
    ("REGISTRY_BLOB_URL_SECONDS", "1.5", "must be a whole number of seconds"),
    ("REGISTRY_BLOB_URL_SECONDS", "1" * 10, "must be a whole number of seconds"),
    ("REGISTRY_BLOB_URL_SECONDS", "604501", "must be at most 604500"),
    (
        "REGISTRY_OUTBOUND_ALLOW",
        "10.1.2.3/16",
        "'10.1.2.3/16' is not a network such as 10.1.0.0/16",
    ),
    ("REGISTRY_OUTBOUND_ALLOW", "10.0.0.0/8,10.0.0.0/33", "'10.0.0.0/33' is not a network"),
    ("REGISTRY_OUTBOUND_ALLOW", "hooks.internal:8080", "'hooks.internal:8080' is neither"),
    ("REGISTRY_OUTBOUND_ALLOW", "*.internal", "'*.internal' is neither a host's name, whole"),
    ("REGISTRY_OUTBOUND_ALLOW", "10.1", "'10.1' is neither"),
    ("REGISTRY_OUTBOUND_PROXY", "proxy.internal:3128", "must be http://HOST:PORT or https://"),
    ("REGISTRY_OUTBOUND_PROXY", "socks5://proxy.internal", "must be http://HOST:PORT"),
    ("REGISTRY_OUTBOUND_PROXY", "http://proxy.internal/path", "must be http://HOST:PORT"),
    ("REGISTRY_GRACE_SECONDS", "\N{ARABIC-INDIC DIGIT ONE}", "must be a whole number of seconds"),
]


def test_the_least_one_must_say() -> None:
    assert Settings.from_env(LEAST) == Settings(
        registry_name="registry",
        login_server="",
        root_domain="",
        admin_password="",
        master_key=KEY,
        key_vault_key="",
        blob_redirects=True,
        sparse_manifests=False,
        anonymous_access="none",
        mount_discovery="token",
        soft_delete_days=7,
        upload_lifetime=timedelta(days=7),
        grace=timedelta(days=1),
        url_lifetime=timedelta(minutes=20),
        scrub_bytes_per_day=100 * 1024**3,
        outbound_allowed=Allowed(),
        outbound_proxy="",
        webhook_event_days=7,
        plane="all",
        storage={"": "UseDevelopmentStorage=true"},
    )


def test_all_that_one_may_say() -> None:
    said = {
        "REGISTRY_NAME": "myreg01",
        "REGISTRY_LOGIN_SERVER": "Hub.Registries.Example:8443",
        "REGISTRY_ROOT_DOMAIN": ".Registries.Example.",
        "REGISTRY_ADMIN_PASSWORD": "secret",
        "REGISTRY_BLOB_REDIRECTS": "FALSE",
        "REGISTRY_SPARSE_MANIFESTS": "True",
        "REGISTRY_ANONYMOUS_ACCESS": "pull",
        "REGISTRY_PLANE": "http",
        "REGISTRY_MOUNT_DISCOVERY": "caller",
        "REGISTRY_SOFT_DELETE_DAYS": "0",
        "REGISTRY_UPLOAD_SECONDS": "60",
        "REGISTRY_GRACE_SECONDS": "120",
        "REGISTRY_BLOB_URL_SECONDS": "30",
        "REGISTRY_SCRUB_BYTES_PER_DAY": "0",
        "REGISTRY_OUTBOUND_ALLOW": "Hooks.Internal., 10.1.0.0/16,::1",
        "REGISTRY_OUTBOUND_PROXY": "http://user:pw@proxy.internal:3128",
        "REGISTRY_WEBHOOK_EVENT_DAYS": "30",
    }
    assert Settings.from_env({**LEAST, **said}) == Settings(
        registry_name="myreg01",
        login_server="hub.registries.example:8443",
        root_domain="registries.example",
        admin_password="secret",
        master_key=KEY,
        key_vault_key="",
        blob_redirects=False,
        sparse_manifests=True,
        anonymous_access="pull",
        mount_discovery="caller",
        soft_delete_days=0,
        upload_lifetime=timedelta(minutes=1),
        grace=timedelta(minutes=2),
        url_lifetime=timedelta(seconds=30),
        scrub_bytes_per_day=0,
        outbound_allowed=Allowed(
            frozenset({"hooks.internal"}), (ip_network("10.1.0.0/16"), ip_network("::1"))
        ),
        outbound_proxy="http://user:pw@proxy.internal:3128",
        webhook_event_days=30,
        plane="http",
        storage={"": "UseDevelopmentStorage=true"},
    )


def test_an_empty_setting_is_none() -> None:
    assert Settings.from_env({**LEAST, "REGISTRY_NAME": ""}).registry_name == "registry"


KEY_VAULT_KEY = "https://my-vault.vault.azure.net/keys/master"


@pytest.mark.parametrize("given", [KEY_VAULT_KEY, f"{KEY_VAULT_KEY}/"])
def test_a_key_of_a_vault_takes_the_place_of_a_master_key(given: str) -> None:
    env = {"REGISTRY_KEY_VAULT_KEY": given, "AzureWebJobsStorage": "x"}
    read = Settings.from_env(env)
    assert (read.master_key, read.key_vault_key) == ("", KEY_VAULT_KEY)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({}, "REGISTRY_MASTER_KEY must be a secret .*; or set REGISTRY_KEY_VAULT_KEY"),
        (
            {"REGISTRY_MASTER_KEY": KEY, "REGISTRY_KEY_VAULT_KEY": KEY_VAULT_KEY},
            "REGISTRY_MASTER_KEY and REGISTRY_KEY_VAULT_KEY are both set: keep one of the two",
        ),
    ],
)
def test_both_or_none_of_them_is_a_fault(given: dict[str, str], fault: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"^{fault}"):
        Settings.from_env({"AzureWebJobsStorage": "x", **given})


def test_a_connection_may_come_in_parts() -> None:
    env = {
        "REGISTRY_MASTER_KEY": KEY,
        "AzureWebJobsStorage__accountName": "one",
        "AzureWebJobsStorage__credential": "managedidentity",
        "AzureWebJobsStorage__clientId": "",
        "AzureWebJobsStorageOfAnother": "x",
    }
    parts = Settings.from_env(env).storage
    assert parts == {"accountName": "one", "credential": "managedidentity"}


PARTS: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("accountName",), ()),
    (("accountName", "clientId"), ()),
    (("accountName", "blobServiceUri"), ()),
    (("blobServiceUri", "queueServiceUri", "tableServiceUri"), ()),
    (("blobServiceUri",), ("queueServiceUri", "tableServiceUri")),
    (("blobServiceUri", "tableServiceUri"), ("queueServiceUri",)),
    (("clientId",), ("blobServiceUri", "queueServiceUri", "tableServiceUri")),
    (("serviceUri",), ("blobServiceUri", "queueServiceUri", "tableServiceUri")),
]


@pytest.mark.parametrize(("given", "missing"), PARTS)
def test_parts_that_do_not_name_the_account_are_a_fault(
    given: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    name = "AzureWebJobsStorage"
    env = {"REGISTRY_MASTER_KEY": KEY} | {f"{name}__{part}": "x" for part in given}
    if not missing:
        assert open_ports(Settings.from_env(env).storage)
        return
    with pytest.raises(SettingsInvalid) as caught:
        Settings.from_env(env)
    wanted = " and ".join(f"{name}__{part}" for part in missing)
    assert str(caught.value) == f"{wanted} must be set too, or {name}__accountName"


def test_a_url_may_live_as_long_as_the_key_it_is_signed_with() -> None:
    assert timedelta(days=7) == azure_blobs._CLOCK_SKEW + LONGEST_URL_LIFE
    env = {**LEAST, "REGISTRY_BLOB_URL_SECONDS": "604500"}
    assert Settings.from_env(env).url_lifetime == LONGEST_URL_LIFE


async def test_the_longest_master_key_seals(memory: Memory) -> None:
    key = Settings.from_env({**LEAST, "REGISTRY_MASTER_KEY": "k" * 1_023}).master_key
    await memory.prepare()
    records = RegistryRecords(memory.rows, memory.beside, GivenKey(key))
    await records.create(RegistryRecord("registry", "one", ()), LONG_AGO)
    assert await records.find("registry")


@pytest.mark.parametrize(
    "value", ["https://example.com", "example.com:443", "*.example.com", "a/b"]
)
def test_a_root_domain_is_a_hosts_name(value: str) -> None:
    with pytest.raises(SettingsInvalid, match=r"REGISTRY_ROOT_DOMAIN.*a host's name alone"):
        Settings.from_env({**LEAST, "REGISTRY_ROOT_DOMAIN": value})


@pytest.mark.parametrize(("name", "value", "message"), FAULTS)
def test_a_fault_is_told_by_its_name(name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"{name}.*{message}"):
        Settings.from_env({**LEAST, name: value})


def test_all_faults_are_told_at_once_and_no_secret_is() -> None:
    faulty = {name: value for name, value, _ in FAULTS}
    faulty["REGISTRY_MASTER_KEY"] = KEY[1:]
    with pytest.raises(SettingsInvalid) as caught:
        Settings.from_env(faulty)
    message = str(caught.value)
    assert message.count(";") == len(faulty)  # each of them, and the storage
    assert all(name in message for name in [*faulty, "AzureWebJobsStorage"])
    assert "kkkk" not in message


def test_the_environment_is_read_where_nothing_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**LEAST, "REGISTRY_NAME": "fromenv"}.items():
        monkeypatch.setenv(name, value)
    assert Settings.from_env().registry_name == "fromenv"


def test_a_proxys_password_is_in_no_message() -> None:
    with pytest.raises(SettingsInvalid) as caught:
        Settings.from_env({**LEAST, "REGISTRY_OUTBOUND_PROXY": "http://user:hidden@proxy/path"})
    assert "hidden" not in str(caught.value)
