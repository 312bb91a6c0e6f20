from datetime import timedelta

import pytest

from shared.settings import Settings, SettingsInvalid

KEY = "k" * 32
LEAST = {"REGISTRY_MASTER_KEY": KEY, "AzureWebJobsStorage": "UseDevelopmentStorage=true"}

FAULTS = [
    ("REGISTRY_NAME", "abcd", "must be 5 to 50"),
    ("REGISTRY_NAME", "Registry", "must be 5 to 50"),
    ("REGISTRY_NAME", "a" * 51, "must be 5 to 50"),
    ("REGISTRY_NAME", "my-registry", "must be 5 to 50"),
    ("REGISTRY_MASTER_KEY", "k" * 31, "must be a secret of 32 or more"),
    ("REGISTRY_BLOB_REDIRECTS", "yes", "must be true or false"),
    ("REGISTRY_SPARSE_MANIFESTS", "1", "must be true or false"),
    ("REGISTRY_ANONYMOUS_ACCESS", "push", "must be one of none, pull, all"),
    ("REGISTRY_UPLOAD_SECONDS", "0", "must be a whole number of seconds"),
    ("REGISTRY_GRACE_SECONDS", "-1", "must be a whole number of seconds"),
    ("REGISTRY_BLOB_URL_SECONDS", "1.5", "must be a whole number of seconds"),
    ("REGISTRY_BLOB_URL_SECONDS", "1" * 10, "must be a whole number of seconds"),
    ("REGISTRY_GRACE_SECONDS", "\N{ARABIC-INDIC DIGIT ONE}", "must be a whole number of seconds"),
]


def test_the_least_one_must_say() -> None:
    assert Settings.from_env(LEAST) == Settings(
        registry_name="registry",
        root_domain="",
        admin_password="",
        master_key=KEY,
        blob_redirects=True,
        sparse_manifests=False,
        anonymous_access="none",
        upload_lifetime=timedelta(days=7),
        grace=timedelta(days=1),
        url_lifetime=timedelta(minutes=20),
        storage={"": "UseDevelopmentStorage=true"},
    )


def test_all_that_one_may_say() -> None:
    said = {
        "REGISTRY_NAME": "myreg01",
        "REGISTRY_ROOT_DOMAIN": ".Registries.Example.",
        "REGISTRY_ADMIN_PASSWORD": "secret",
        "REGISTRY_BLOB_REDIRECTS": "FALSE",
        "REGISTRY_SPARSE_MANIFESTS": "True",
        "REGISTRY_ANONYMOUS_ACCESS": "pull",
        "REGISTRY_UPLOAD_SECONDS": "60",
        "REGISTRY_GRACE_SECONDS": "120",
        "REGISTRY_BLOB_URL_SECONDS": "30",
    }
    assert Settings.from_env({**LEAST, **said}) == Settings(
        registry_name="myreg01",
        root_domain="registries.example",
        admin_password="secret",
        master_key=KEY,
        blob_redirects=False,
        sparse_manifests=True,
        anonymous_access="pull",
        upload_lifetime=timedelta(minutes=1),
        grace=timedelta(minutes=2),
        url_lifetime=timedelta(seconds=30),
        storage={"": "UseDevelopmentStorage=true"},
    )


def test_an_empty_setting_is_none() -> None:
    assert Settings.from_env({**LEAST, "REGISTRY_NAME": ""}).registry_name == "registry"


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


@pytest.mark.parametrize(("name", "value", "message"), FAULTS)
def test_a_fault_is_told_by_its_name(name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"{name}.*{message}"):
        Settings.from_env({**LEAST, name: value})


def test_all_faults_are_told_at_once_and_no_secret_is() -> None:
    faulty = {name: value for name, value, _ in FAULTS}
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
