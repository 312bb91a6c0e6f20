"""Too many uploads at once: who comes too late is told when to come back, and loses nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from functions.v2.manifests import LARGE_BYTES
from shared import bootstrap
from shared.services.content.staging import Staging
from shared.services.turns import turns
from shared.services.turns.turns import Turns
from tests.support.app import Site
from tests.support.images import blob


def limit(patch: pytest.MonkeyPatch, **limits: Any) -> None:
    """Bound what the process does at once."""
    here = bootstrap.registries()
    patch.setattr(here, "_limits", replace(here._limits, **limits))


async def test_few_large_manifests_are_taken_at_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(monkeypatch, large_manifests=Turns(0, 0.01))
    large = {"schemaVersion": 2, "annotations": {"a": "x" * LARGE_BYTES}}
    small = {"schemaVersion": 2, "annotations": {"a": "x"}}
    headers = {"Content-Type": "application/vnd.test+json"}
    for body, status in ((large, 429), (small, 201)):
        content = json.dumps(body).encode()
        answer = await site.call("PUT", "/v2/a/manifests/v1", headers=headers, content=content)
        assert answer.status_code == status, answer.text

    async def unannounced() -> AsyncIterator[bytes]:
        yield json.dumps(small).encode()

    answer = await site.call("PUT", "/v2/a/manifests/v1", headers=headers, content=unannounced())
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "5"


async def test_a_manifest_that_drips_is_sent_away(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dripping() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(30)

    monkeypatch.setattr(turns, "PACE_SECONDS", 0.05)
    answer = await site.call("PUT", "/v2/a/manifests/v1", content=dripping())
    assert answer.status_code == 429
    assert "too slowly: 1 bytes" in answer.text


async def test_a_form_that_drips_is_sent_away(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has logged in by then: whoever reaches the registry could hold its functions."""

    async def dripping() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"a"
            await asyncio.sleep(0.01)

    monkeypatch.setattr(turns, "PACE_SECONDS", 0.05)
    answer = await site.call("POST", "/oauth2/token", auth=None, content=dripping())
    assert answer.status_code == 429
    assert "too slowly" in answer.text


@pytest.fixture
def busy(site: Site, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A registry that has no turn left for a body."""
    staging = Staging(site.memory.objects, bodies=0, patience=0.01)
    limit(monkeypatch, staging=staging)
    return monkeypatch


async def test_a_body_too_many_is_sent_away_and_its_session_lives(
    site: Site, busy: pytest.MonkeyPatch
) -> None:
    content = blob(b"comes back later")
    location = await site.start("team/app")

    refused = await site.call("PATCH", location, content=content.content)

    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "5"
    assert refused.json()["errors"][0]["code"] == "TOOMANYREQUESTS"
    for kept in bootstrap.registries()._kept.values():
        busy.setattr(kept.registry.uploads, "_staging", Staging(site.memory.objects))
    again = await site.call("PATCH", location, content=content.content)
    assert again.status_code == 202
    finished = await site.call("PUT", again.headers["Location"] + f"&digest={content.digest}")
    assert finished.status_code == 201
