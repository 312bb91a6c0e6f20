"""A registry whose master key is kept in storage, and wrapped by a vault."""

import logging

import pytest

from shared import bootstrap
from shared.storage import keys
from shared.storage.memory.vault import MemoryVault
from tests.support.app import NAME, PASSWORD, Memory, Site
from tests.support.images import image
from tests.support.master_keys import key_object


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> MemoryVault:
    made = MemoryVault()
    monkeypatch.setattr(bootstrap, "open_vault", lambda _: made)
    return made


@pytest.fixture
def settings() -> dict[str, str]:
    return {"MASTER_KEY": "", "KEY_VAULT_KEY": MemoryVault().key}


@pytest.fixture
async def new(site: Site, memory: Memory, vault: MemoryVault) -> Site:
    """A site over storage that is new."""
    for container in (memory.objects, memory.beside):
        container._container = None
    memory.rows._tables.clear()
    await memory.prepare()
    return site


async def test_a_first_start_makes_a_key_and_a_second_changes_nothing(
    new: Site, memory: Memory, vault: MemoryVault
) -> None:
    await new.push("team/app", image(1), "v1")
    before = await key_object(memory.beside).etag()
    assert before
    bootstrap.registries.cache_clear()
    vault.calls.clear()
    for _ in range(2):
        answer = await new.call("GET", "/v2/team/app/manifests/v1")
        assert answer.status_code == 200
    assert await key_object(memory.beside).etag() == before
    assert vault.calls == ["unwrap"]


async def test_without_its_vault_it_says_so_and_comes_back(
    new: Site, vault: MemoryVault, caplog: pytest.LogCaptureFixture
) -> None:
    await new.push("team/app", image(1), "v1")
    bootstrap.registries.cache_clear()
    vault.trouble = "the key is disabled: enable it"
    answer = await new.call("GET", "/v2/team/app/manifests/v1")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (503, "UNAVAILABLE")
    assert answer.headers["Retry-After"]
    assert "the key is disabled" not in answer.text
    assert "the master key cannot be had from its vault: the key is disabled: enable it" in [
        line.getMessage() for line in caplog.records if line.levelno == logging.ERROR
    ]
    vault.trouble = ""
    bootstrap.registries.cache_clear()
    answer = await new.call("GET", "/v2/team/app/manifests/v1")
    assert answer.status_code == 200


async def test_content_without_the_object_is_served_by_nobody(
    new: Site, memory: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    await new.push("team/app", image(1), "v1")
    beside = memory.beside
    assert await beside.delete(keys.MASTER_KEY, await key_object(beside).etag())
    bootstrap.registries.cache_clear()
    for _ in range(2):
        answer = await new.call("GET", "/v2/", auth=(NAME, PASSWORD))
        assert answer.status_code == 500
    assert "and no master key: the object master-key is not in the container" in caplog.text
    assert await key_object(beside).etag() == ""
