"""The host's own calls to storage."""

import uuid

import pytest

from infra.devhost.accounts import Accounts
from infra.devhost.storage import Azurite

pytestmark = pytest.mark.emulator


async def test_no_proxy_of_the_environment_stands_before_storage(
    azurite: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AzureWebJobsStorage", azurite.connection_string)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # where nobody listens
    for name in ("http_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    name = f"t{uuid.uuid4().hex}"

    async with Accounts() as accounts:
        queue = accounts.queue(name)
        await queue.create_queue()
        assert not [_ async for _ in accounts.blobs().list_containers(name_starts_with=name)]
