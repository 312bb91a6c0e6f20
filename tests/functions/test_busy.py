"""Too many uploads at once: who comes too late is told when to come back, and loses nothing."""

import pytest

from shared import bootstrap
from shared.services.content.staging import Staging
from tests.support.app import Site
from tests.support.images import blob


@pytest.fixture
def busy(site: Site, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A registry that has no turn left for a body."""
    staging = Staging(site.memory.objects, bodies=0, patience=0.01)
    monkeypatch.setattr(bootstrap.registries(), "_staging", staging)
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
