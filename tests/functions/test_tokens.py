"""Logging in: the two ways docker asks for a token, and what is refused."""

import base64
import json
from datetime import timedelta

import pytest

from shared import bootstrap
from shared.auth import passwords
from shared.model.digest import Digest
from shared.services.content.uploads import Uploads
from tests.support.app import LOGIN_SERVER, NAME, PASSWORD, Site
from tests.support.images import blob

FORM = {
    "grant_type": "password",
    "service": LOGIN_SERVER,
    "username": NAME,
    "password": PASSWORD,
    "scope": "repository:a:pull,push",
}


def claims(token: str) -> dict[str, object]:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


async def test_a_form_gets_a_token_as_basic_credentials_do(site: Site) -> None:
    answer = await site.call("POST", "/oauth2/token", auth=None, data=FORM)
    by_form = answer.json()
    assert by_form["expires_in"] == 3_600
    query = {"service": LOGIN_SERVER, "scope": FORM["scope"]}
    by_query = (await site.call("GET", "/oauth2/token", params=query)).json()
    for token in (by_form["access_token"], by_query["access_token"]):
        assert claims(token)["access"] == [
            {"type": "repository", "name": "a", "actions": ["pull", "push"]}
        ]
        headers = {"Authorization": f"Bearer {token}"}
        answer = await site.call("POST", "/v2/a/blobs/uploads/", auth=None, headers=headers)
        assert answer.status_code == 202


async def test_health_checks_get_an_empty_token(site: Site) -> None:
    headers = await site.bearer("registry:None:*")
    assert claims(headers["Authorization"].split()[1])["access"] == []
    assert (await site.call("GET", "/v2/", auth=None, headers=headers)).status_code == 200


async def test_a_refresh_token_is_exchanged_and_no_more(site: Site) -> None:
    offline = {**FORM, "access_type": "offline"}
    refresh = (await site.call("POST", "/oauth2/token", auth=None, data=offline)).json()[
        "refresh_token"
    ]
    form = {"grant_type": "refresh_token", "refresh_token": refresh, "scope": FORM["scope"]}
    answer = await site.call("POST", "/oauth2/token", auth=None, data=form)
    assert set(answer.json()) == {"access_token", "expires_in"}
    headers = {"Authorization": f"Bearer {refresh}"}
    answer = await site.call("GET", "/v2/", auth=None, headers=headers)
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    "changes",
    [
        {"password": "wrong"},
        {"password": ""},
        {"username": "nobody"},
        {"grant_type": "magic"},
        {"service": "another.test"},
        {"grant_type": "refresh_token", "refresh_token": "x"},
    ],
)
async def test_wrong_credentials_get_no_token(site: Site, changes: dict[str, str]) -> None:
    answer = await site.call("POST", "/oauth2/token", auth=None, data={**FORM, **changes})
    assert answer.status_code == 401
    assert answer.json()["errors"][0]["code"] == "UNAUTHORIZED"
    assert "access_token" not in answer.text


async def test_an_expired_token_is_refused(site: Site) -> None:
    site.clock.move(minutes=-61)
    headers = await site.bearer("repository:a:pull")
    site.clock.move(minutes=61)
    answer = await site.call("GET", "/v2/a/tags/list", auth=None, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].endswith('error="invalid_token"')


async def test_a_token_for_another_login_server_is_refused(site: Site) -> None:
    headers = await site.bearer("repository:a:pull")
    for server, status in ((LOGIN_SERVER, 404), ("another.test", 401), (f"{LOGIN_SERVER}:1", 401)):
        asked = {**headers, "Host": server}
        answer = await site.call("GET", "/v2/a/tags/list", auth=None, headers=asked)
        assert answer.status_code == status


@pytest.mark.parametrize("settings", [{"ROOT_DOMAIN": "registries.test"}], indirect=True)
async def test_a_registry_is_found_by_its_name_under_the_root_domain(site: Site) -> None:
    for server, status in (
        (f"{NAME}.registries.test", 200),
        (f"{NAME}.registries.test:8443", 200),
        ("localhost:7071", 200),
        ("another.registries.test", 404),
        ("x.y.registries.test", 404),
    ):
        answer = await site.call("GET", "/v2/", headers={"Host": server})
        assert answer.status_code == status, server
    assert answer.json()["errors"][0]["code"] == "NAME_UNKNOWN"


@pytest.mark.parametrize("settings", [{"ANONYMOUS_ACCESS": "pull"}], indirect=True)
async def test_callers_without_a_name_get_a_token_to_pull(site: Site) -> None:
    form = {"grant_type": "password", "service": LOGIN_SERVER, "scope": FORM["scope"]}
    issued = (await site.call("POST", "/oauth2/token", auth=None, data=form)).json()
    assert issued["expires_in"] == timedelta(minutes=5).total_seconds()
    assert claims(issued["access_token"])["access"] == [
        {"type": "repository", "name": "a", "actions": ["pull"]}
    ]
    headers = {"Authorization": f"Bearer {issued['access_token']}"}
    for path, status in (("/v2/", 200), ("/v2/a/tags/list", 404), ("/v2/b/tags/list", 401)):
        answer = await site.call("GET", path, auth=None, headers=headers)
        assert answer.status_code == status, path


@pytest.mark.parametrize("settings", [{"ANONYMOUS_ACCESS": "pull"}], indirect=True)
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic Og=="}], ids=str)
async def test_a_token_may_be_asked_for_without_a_name(site: Site, headers: dict[str, str]) -> None:
    query = {"service": LOGIN_SERVER, "scope": "repository:a:pull"}
    answer = await site.call("GET", "/oauth2/token", auth=None, params=query, headers=headers)
    assert answer.json()["expires_in"] == 300
    wrong = {**FORM, "password": "wrong"}
    assert (await site.call("POST", "/oauth2/token", auth=None, data=wrong)).status_code == 401


async def test_a_token_that_would_not_be_accepted_is_not_issued(site: Site) -> None:
    scopes = [f"repository:{'x' * 240}{number:03}:pull" for number in range(90)]
    answer = await site.call("POST", "/oauth2/token", auth=None, data={**FORM, "scope": scopes})
    assert answer.status_code == 400
    (entry,) = answer.json()["errors"]
    assert entry["code"] == "SIZE_INVALID"
    assert "ask for fewer scopes" in entry["message"]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_no_cache_keeps_a_token(site: Site, method: str) -> None:
    query = {"service": LOGIN_SERVER}
    sent = {"params": query} if method == "GET" else {"data": FORM, "auth": None}
    answer = await site.call(method, "/oauth2/token", **sent)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Pragma"] == "no-cache"


@pytest.mark.parametrize(
    "source", ["Source", "host:5000/source", "a//b", "x" * 257, "", "/", "a b", "%00", "ä"]
)
async def test_a_mount_from_what_is_no_name_of_ours_is_an_upload(site: Site, source: str) -> None:
    content = blob(b"shared")
    await site.push_blob("source", content)
    path = f"/v2/target/blobs/uploads/?mount={content.digest}&from={source}"
    narrow = await site.bearer("repository:target:pull,push")
    answer = await site.call("POST", path, auth=None, headers=narrow)
    assert answer.status_code == 202
    last = f"{answer.headers['Location']}&digest={content.digest}"
    answer = await site.call("PUT", last, auth=None, headers=narrow, content=content.content)
    assert answer.status_code == 201


async def test_a_mount_needs_pull_on_the_source(site: Site) -> None:
    content = blob(b"shared")
    await site.push_blob("source", content)
    path = f"/v2/target/blobs/uploads/?mount={content.digest}&from=source"
    narrow = await site.bearer("repository:target:pull,push")
    answer = await site.call("POST", path, auth=None, headers=narrow)
    assert answer.status_code == 401
    assert (
        'scope="repository:target:pull,push repository:source:pull"'
        in (answer.headers["WWW-Authenticate"])
    )
    both = await site.bearer("repository:target:pull,push", "repository:source:pull")
    answer = await site.call("POST", path, auth=None, headers=both)
    assert (answer.status_code, answer.headers["Location"]) == (
        201,
        f"/v2/target/blobs/{content.digest}",
    )
    assert (await site.call("GET", answer.headers["Location"])).content == content.content


async def test_a_mount_without_a_source_finds_one(site: Site) -> None:
    content = blob(b"shared")
    path = f"/v2/target/blobs/uploads/?mount={content.digest}"
    assert (await site.call("POST", path)).status_code == 202
    await site.push_blob("source", content)
    assert (await site.call("POST", path)).status_code == 201
    away = path.replace("?", "?from=elsewhere&")
    assert (await site.call("POST", away)).status_code == 202


@pytest.mark.parametrize(
    ("settings", "status"),
    [({}, 202), ({"MOUNT_DISCOVERY": "caller"}, 201)],
    indirect=["settings"],
    ids=["token", "caller"],
)
async def test_a_mount_without_a_source_goes_by_the_token_unless_a_setting_says_otherwise(
    site: Site, status: int
) -> None:
    content = blob(b"a secret")
    await site.push_blob("secret/b", content)
    narrow = await site.bearer("repository:a:pull,push")
    path = f"/v2/a/blobs/uploads/?mount={content.digest}"
    assert (await site.call("POST", path, auth=None, headers=narrow)).status_code == status
    both = await site.bearer("repository:a:pull,push", "repository:secret/b:pull")
    assert (await site.call("POST", path, auth=None, headers=both)).status_code == 201


async def test_few_sources_are_tried(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    async def mount(uploads: Uploads, target: str, digest: Digest, source: str) -> bool:
        tried.append(source)
        return False

    content = blob(b"shared")
    for name in "abcdef":
        await site.push_blob(name, content)
    monkeypatch.setattr(Uploads, "mount", mount)
    some = await site.bearer("repository:target:pull,push", "repository:f:pull")
    path = f"/v2/target/blobs/uploads/?mount={content.digest}"
    for options in ({"auth": None, "headers": some}, {}):
        assert (await site.call("POST", path, **options)).status_code == 202
    assert tried == ["f", "a", "b", "c"]


async def test_a_token_ends_with_the_password_it_was_got_by(site: Site) -> None:
    headers = await site.bearer("repository:a:pull")
    assert (await site.call("GET", "/v2/", auth=None, headers=headers)).status_code == 200
    accounts = (await bootstrap.registries().at(LOGIN_SERVER)).gate._accounts
    await accounts.set_password(NAME, "another")
    answer = await site.call("GET", "/v2/", auth=None, headers=headers)
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


async def test_one_login_too_many_is_told_to_wait(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "WAITING", 0)
    for path in ("/v2/", "/oauth2/token"):
        answer = await site.call("GET", path, auth=(NAME, "wrong"))
        assert answer.status_code == 429
        assert answer.headers["Retry-After"] == "2"
        assert answer.json()["errors"][0]["code"] == "TOOMANYREQUESTS"


async def test_state_that_is_refused_is_one_line_of_the_log(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    await site.memory.keep_registry(layout=99)
    answer = await site.call("GET", "/v2/")
    assert answer.status_code == 500
    assert "layout" not in answer.text
    (line,) = [it for it in caplog.records if it.levelname == "ERROR"]
    assert "version 99 of the layout" in line.getMessage()
    assert line.exc_info is None
