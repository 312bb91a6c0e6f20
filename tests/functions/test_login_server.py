"""The name asked for, as Microsoft's front hands it over: challenge, login, registries."""

import json
import logging

import pytest
from starlette.types import Receive, Scope, Send

from infra.devhost.invocations import Invoker
from infra.devhost.worker import Function, TypedData
from tests.support.app import NAME, PASSWORD, Site

WORKER = b"127.0.0.1:51234"


@pytest.fixture(params=[True, False], ids=["behind the front", "asked itself"], autouse=True)
def front(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Host be the worker's address and the name asked for X-Forwarded-Host, or not."""
    run = Invoker.http

    async def forwarded(
        self: Invoker,
        function: Function,
        params: dict[str, TypedData],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        asked = [
            (b"x-forwarded-host", value) for name, value in scope["headers"] if name == b"host"
        ]
        rest = [pair for pair in scope["headers"] if pair[0] != b"host"]
        scope["headers"] = [*rest, *asked, (b"host", WORKER)]
        await run(self, function, params, scope, receive, send)

    if request.param:
        monkeypatch.setattr(Invoker, "http", forwarded)


@pytest.mark.parametrize(
    ("asked", "realm"),
    [
        ("registry.test", "https://registry.test"),
        ("Registry.Test.:8443", "https://registry.test:8443"),
        ("localhost:7071", "http://localhost:7071"),
        ("[::1]:7071", "http://[::1]:7071"),
        ("[fd00::1]", "https://[fd00::1]"),
    ],
)
async def test_the_challenge_leads_to_the_name_asked_and_its_token_is_good_there(
    site: Site, asked: str, realm: str
) -> None:
    headers = {"Host": asked}
    answer = await site.call("GET", "/v2/", auth=None, headers=headers)
    service = realm.partition("//")[2]
    wanted = f'Bearer realm="{realm}/oauth2/token",service="{service}"'
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, wanted)
    query = {"service": service, "scope": "repository:a:pull,push"}
    issued = await site.call("GET", "/oauth2/token", params=query, headers=headers)
    bearer = {"Authorization": f"Bearer {issued.json()['access_token']}"}
    path = "/v2/a/blobs/uploads/"
    for name, status in ((asked, 202), (service, 202), ("another.test", 401)):
        both = {**bearer, "Host": name}
        answer = await site.call("POST", path, auth=None, headers=both)
        assert answer.status_code == status, name


@pytest.mark.parametrize("asked", ["", "a b", "u:p@registry.test", "a,b", "a:x", "[::1", "x" * 300])
async def test_a_name_that_is_none_is_refused(site: Site, asked: str) -> None:
    answer = await site.call("GET", "/v2/", headers={"Host": asked})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "UNSUPPORTED"
    assert "WWW-Authenticate" not in answer.headers


@pytest.mark.parametrize("settings", [{"ROOT_DOMAIN": "registries.test"}], indirect=True)
async def test_each_registry_has_a_name_under_the_root_domain(site: Site) -> None:
    await site.memory.keep_registry("other", generation="o" * 32)
    here, there = f"{NAME}.registries.test", "other.registries.test"
    query = {"service": here, "scope": "repository:a:pull"}
    issued = await site.call("GET", "/oauth2/token", params=query, headers={"Host": here})
    bearer = {"Authorization": f"Bearer {issued.json()['access_token']}"}
    for name, status in ((here, 200), (f"{here}.", 200), (there, 401), ("localhost", 401)):
        answer = await site.call("GET", "/v2/", auth=None, headers={**bearer, "Host": name})
        assert answer.status_code == status, name
    for name, status in ((here, 200), (f"{here}.:8443", 200), (there, 401), ("x." + here, 404)):
        answer = await site.call("GET", "/v2/", headers={"Host": name})
        assert answer.status_code == status, name


@pytest.mark.parametrize(
    "settings", [{"MASTER_KEY": "another master key, as long as the first one"}], indirect=True
)
@pytest.mark.parametrize("path", ["/v2/", "/v2/a/tags/list", "/oauth2/token"])
async def test_a_wrong_master_key_is_told_in_the_log_alone(
    site: Site, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = await site.call("GET", path)
    assert answer.status_code == 500
    (entry,) = json.loads(answer.content)["errors"]
    assert "MASTER_KEY" not in answer.text
    assert entry["detail"] == {"correlation": answer.headers["X-Ms-Correlation-Request-Id"]}
    assert entry["detail"]["correlation"] in caplog.text
    assert f"REGISTRY_MASTER_KEY is not the one that registry {NAME} was made with" in caplog.text
    assert PASSWORD not in caplog.text
