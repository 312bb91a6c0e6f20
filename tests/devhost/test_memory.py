"""What a host remembers, where the storage for it does not answer."""

import asyncio
import re
import socket
import time

import pytest

from infra.devhost import accounts, memory
from infra.devhost.accounts import Accounts
from infra.devhost.memory import Memory
from infra.devhost.settings import StartError


def test_storage_that_says_nothing_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_PATIENCE_SECONDS", 0.5)

    async def prepare() -> None:
        async with Accounts() as opened:
            await Memory(opened, "host").prepare()

    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/devstoreaccount1"
        storage = f"AccountName=devstoreaccount1;AccountKey=a2V5;BlobEndpoint={address}"
        monkeypatch.setattr(accounts, "ENVIRONMENT", {"AzureWebJobsStorage": storage})
        told = "the storage in AzureWebJobsStorage does not answer: nothing came in 0.5 s"
        began = time.monotonic()
        with pytest.raises(StartError, match=re.escape(told)):
            asyncio.run(prepare())
        assert time.monotonic() - began < 10
