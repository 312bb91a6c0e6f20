"""What the app loads before its first request: a cold start waits for it."""

import subprocess
import sys

from tests.support.hosts import ROOT
from tests.support.tools import environment

SETTINGS = environment(
    AzureWebJobsStorage="UseDevelopmentStorage=true", REGISTRY_MASTER_KEY="k" * 32
)

SCRIPT = """
import hashlib, sys
def scrypt(*_, **__):
    raise AssertionError("a password is hashed")
hashlib.scrypt = scrypt
import function_app
print(*sys.modules)
"""
LATER = {
    "azure.data.tables",
    "azure.keyvault",
    "azure.storage.blob.aio",
    "azure.storage.queue",
}
"""The blob trigger's type loads azure.storage.blob, and with it aiohttp and azure.identity."""


def test_storage_is_loaded_with_the_first_request_and_nothing_is_hashed() -> None:
    command = [sys.executable, "-c", SCRIPT]
    ended = subprocess.run(
        command, cwd=ROOT, env=SETTINGS, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stderr
    assert LATER & set(ended.stdout.split()) == set()


def test_a_registry_with_a_key_needs_neither_identities_nor_other_services() -> None:
    script = """
import sys
from shared.storage.azure.connections import open_ports
open_ports({"": "UseDevelopmentStorage=true"})
print(*sys.modules)
"""
    command = [sys.executable, "-c", script]
    loaded = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    unwanted = {"azure.identity", "azure.storage.blob", "azure.storage.queue"}
    assert unwanted & set(loaded.split()) == set()


def test_a_vault_is_loaded_when_it_is_asked() -> None:
    script = """
import sys
from shared import bootstrap
from shared.settings import Settings
settings = Settings.from_env()
ports = bootstrap.open_ports(settings.storage)
bootstrap.master_keys_of(settings, bootstrap.Ports(*ports))
print(*sys.modules)
"""
    env = environment(
        AzureWebJobsStorage="UseDevelopmentStorage=true",
        REGISTRY_KEY_VAULT_KEY="https://v.vault.azure.net/keys/k",
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert {"azure.keyvault", "azure.identity"} & set(ended.stdout.split()) == set()
