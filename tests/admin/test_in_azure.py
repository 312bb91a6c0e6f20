"""On an operator's machine: with what a deployment tells in the end, as whoever `az login` says."""

import logging
import re
from pathlib import Path
from typing import NoReturn

import pytest
from azure.identity import CredentialUnavailableError
from azure.identity.aio import DefaultAzureCredential
from typer.testing import CliRunner

from infra.admin import opening
from infra.admin.commands import app
from shared.storage.azure import connections

MAIN = Path(__file__).parents[2] / "infra/azure/main.bicep"
TOLD = {
    "AzureWebJobsStorage__blobServiceUri": "https://store.blob.core.windows.net/",
    "AzureWebJobsStorage__queueServiceUri": "https://store.queue.core.windows.net/",
    "AzureWebJobsStorage__tableServiceUri": "https://store.table.core.windows.net/",
    "REGISTRY_KEY_VAULT_KEY": "https://kv.vault.azure.net/keys/master-key",
    "REGISTRY_NAME": "registry",
}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_environment", lambda: TOLD)


def test_a_deployment_tells_all_that_a_command_reads() -> None:
    outputs = re.findall(r"^output (\w+) ", MAIN.read_text(), re.MULTILINE)

    assert TOLD.keys() <= set(outputs)
    assert "AzureWebJobsStorage__clientId" not in outputs  # the app's, which no other machine has


async def test_a_command_goes_to_storage_as_whoever_is_logged_in(told: None) -> None:
    with opening.desk(None, "") as here:
        account = connections._account(here.settings.storage)
        try:
            assert here.registry == "registry"
            assert isinstance(account.credential, DefaultAzureCredential)
            assert account.table_address == "https://store.table.core.windows.net"
            assert account.blobs.account_name == "store"
        finally:
            await account.close()


def test_where_nobody_is_logged_in_it_says_what_to_do(
    told: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def nobody(*_: object, **__: object) -> NoReturn:
        logging.getLogger("azure.identity.aio").warning("a page of all that was tried")
        raise CredentialUnavailableError("a page of all that was tried")

    for ask in ("get_token", "get_token_info"):
        monkeypatch.setattr(DefaultAzureCredential, ask, nobody)
    ended = CliRunner().invoke(app, ["queue", "list"])
    assert ended.exit_code == 1
    assert ended.stderr.startswith("admin: nobody is logged in here")
    assert "az login" in ended.stderr
    assert "a page of" not in ended.stderr + caplog.text


def test_help_tells_who_one_is_in_azure() -> None:
    told = CliRunner().invoke(app, ["--help"]).output

    assert "az login" in " ".join(told.split())
