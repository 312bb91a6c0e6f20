"""Nobody may do what a token does not say: every route, and whom it lets in."""

from dataclasses import dataclass

import pytest

from tests.support.app import LOGIN_SERVER, Site, indexed
from tests.support.images import image

APP, OTHER = "team/app", "team/other"
DIGEST = "sha256:" + "0" * 64
REALM = f'Bearer realm="https://{LOGIN_SERVER}/oauth2/token",service="{LOGIN_SERVER}"'


@dataclass(frozen=True, slots=True)
class Rule:
    """What a function's method needs: actions on APP, the catalog, or only to be known."""

    function: str
    method: str
    path: str
    needs: str

    @property
    def scope(self) -> str:
        """The scope that the challenge asks for."""
        if self.needs in {"", "registry:catalog:*"}:
            return self.needs
        return f"repository:{APP}:{self.needs}"


RULES = [
    Rule("base_get", "GET", "/v2/", ""),
    Rule("base_get", "HEAD", "/v2/", ""),
    Rule("catalog_list", "GET", "/v2/_catalog", "registry:catalog:*"),
    Rule("catalog_list", "HEAD", "/v2/_catalog", "registry:catalog:*"),
    Rule("manifest_get", "GET", f"/v2/{APP}/manifests/latest", "pull"),
    Rule("manifest_get", "HEAD", f"/v2/{APP}/manifests/latest", "pull"),
    Rule("manifest_put", "PUT", f"/v2/{APP}/manifests/latest", "pull,push"),
    Rule("manifest_delete", "DELETE", f"/v2/{APP}/manifests/latest", "delete"),
    Rule("blob_get", "GET", f"/v2/{APP}/blobs/{DIGEST}", "pull"),
    Rule("blob_get", "HEAD", f"/v2/{APP}/blobs/{DIGEST}", "pull"),
    Rule("blob_delete", "DELETE", f"/v2/{APP}/blobs/{DIGEST}", "delete"),
    Rule("tag_list", "GET", f"/v2/{APP}/tags/list", "pull"),
    Rule("tag_list", "HEAD", f"/v2/{APP}/tags/list", "pull"),
    Rule("referrer_list", "GET", f"/v2/{APP}/referrers/{DIGEST}", "pull"),
    Rule("referrer_list", "HEAD", f"/v2/{APP}/referrers/{DIGEST}", "pull"),
    Rule("upload_start", "POST", f"/v2/{APP}/blobs/uploads/", "pull,push"),
    Rule("upload_append", "PATCH", f"/v2/{APP}/blobs/uploads/x", "pull,push"),
    Rule("upload_commit", "PUT", f"/v2/{APP}/blobs/uploads/x", "pull,push"),
    Rule("upload_status", "GET", f"/v2/{APP}/blobs/uploads/x", "pull,push"),
    Rule("upload_status", "HEAD", f"/v2/{APP}/blobs/uploads/x", "pull,push"),
    Rule("upload_cancel", "DELETE", f"/v2/{APP}/blobs/uploads/x", "pull,push"),
    *(
        Rule(name, method, path, "")
        for name, path in (("z_fallback", "/v2/nowhere"), ("z_acr_fallback", f"/acr/v1/{APP}"))
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    ),
]

OPEN = {
    *(("token_issue", method) for method in ("GET", "POST")),
    *(("z_token_fallback", method) for method in ("HEAD", "PUT", "PATCH", "DELETE", "OPTIONS")),
}
"""Where one comes to be known. Open is OPTIONS as well, which tells of a path's shape alone."""

EVERY_ACTION = ("pull", "push", "delete", "metadata_read", "metadata_write")
NARROW = [rule for rule in RULES if rule.needs]


def test_every_route_has_a_rule(worker: None) -> None:
    routes = {
        (function.name, method.upper())
        for function in indexed()[1]
        if function.kind == "httpTrigger"
        for method in function.trigger["methods"]
    }
    assert routes == {(rule.function, rule.method) for rule in RULES} | OPEN


def challenge(scope: str, error: str = "") -> str:
    return REALM + (f',scope="{scope}"' if scope else "") + (f',error="{error}"' if error else "")


@pytest.mark.parametrize("rule", RULES, ids=str)
async def test_without_credentials_the_challenge_says_what_to_ask_for(
    site: Site, rule: Rule
) -> None:
    answer = await site.call(rule.method, rule.path, auth=None)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == challenge(rule.scope)


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize(
    "authorization", ["Bearer x", "Bearer", "Basic eDp5", "Basic !", "Negotiate x", "x"]
)
async def test_credentials_that_are_not_good_let_nobody_in(
    site: Site, rule: Rule, authorization: str
) -> None:
    headers = {"Authorization": authorization}
    answer = await site.call(rule.method, rule.path, auth=None, headers=headers)
    assert answer.status_code == 401


@pytest.mark.parametrize("rule", NARROW, ids=str)
async def test_a_token_without_the_right_is_told_so(site: Site, rule: Rule) -> None:
    lacking = [action for action in EVERY_ACTION if action not in rule.needs.split(",")]
    if "push" in rule.needs:
        lacking.append("pull")
    for scope in (
        "registry:None:*",
        f"repository:{OTHER}:{','.join(EVERY_ACTION)}",
        f"repository:{APP}/more:{','.join(EVERY_ACTION)}",
        f"repository:team:{','.join(EVERY_ACTION)}",
        f"repository:{APP}:{','.join(lacking)}",
        *([] if rule.function == "catalog_list" else ["registry:catalog:*"]),
    ):
        headers = await site.bearer(scope)
        answer = await site.call(rule.method, rule.path, auth=None, headers=headers)
        assert answer.status_code == 401, scope
        wanted = challenge(rule.scope, "insufficient_scope")
        assert answer.headers["WWW-Authenticate"] == wanted


@pytest.mark.parametrize("rule", RULES, ids=str)
async def test_the_token_that_the_challenge_asks_for_lets_in(site: Site, rule: Rule) -> None:
    headers = await site.bearer(rule.scope)
    answer = await site.call(rule.method, rule.path, auth=None, headers=headers)
    assert answer.status_code not in {401, 403, 500}


async def test_what_is_there_and_what_is_not_get_the_same_answer(site: Site) -> None:
    """Promise 8: who may not read learns nothing."""
    pushed = image(1, layers=1, size=10)
    await site.push(APP, pushed, "latest")
    headers = await site.bearer(f"repository:{OTHER}:pull")
    answers = []
    for digest in (pushed.digest, DIGEST):
        for kind in ("manifests", "blobs", "referrers"):
            answer = await site.call(
                "GET", f"/v2/{APP}/{kind}/{digest}", auth=None, headers=headers
            )
            answers.append((answer.status_code, answer.content))
    assert len(set(answers)) == 1


ANONYMOUS = [
    ("none", "GET", "manifests/latest", 401),
    ("none", "GET", "nowhere", 401),
    ("pull", "GET", "nowhere", 404),
    ("pull", "GET", "manifests/latest", 404),
    ("pull", "POST", "blobs/uploads/", 401),
    ("pull", "DELETE", "manifests/latest", 401),
    ("all", "GET", "manifests/latest", 404),
    ("all", "POST", "blobs/uploads/", 202),
    ("all", "DELETE", "manifests/latest", 404),
]


@pytest.mark.parametrize(
    ("settings", "method", "path", "status"),
    [({"ANONYMOUS_ACCESS": access}, *rest) for access, *rest in ANONYMOUS],
    indirect=["settings"],
)
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic Og=="}], ids=str)
async def test_callers_without_a_name_may_what_the_setting_says(
    site: Site, method: str, path: str, status: int, headers: dict[str, str]
) -> None:
    answer = await site.call(method, f"/v2/{APP}/{path}", auth=None, headers=headers)
    assert answer.status_code == status


MODES = [{"ANONYMOUS_ACCESS": mode} for mode in ("none", "pull", "all")]


@pytest.mark.parametrize("settings", MODES, indirect=True, ids=str)
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic Og=="}], ids=str)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_the_root_shows_in_every_mode_how_to_log_in(
    site: Site, method: str, headers: dict[str, str]
) -> None:
    answer = await site.call(method, "/v2/", auth=None, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == challenge("")


@pytest.mark.parametrize("settings", MODES, indirect=True, ids=str)
@pytest.mark.parametrize(
    "authorization", ["Bearer x", "Basic eDp5", "Basic !", "Basic eA==", "Negotiate x", "x"]
)
async def test_credentials_that_are_not_good_are_never_taken_for_none(
    site: Site, authorization: str
) -> None:
    headers = {"Authorization": authorization}
    form = {"grant_type": "password", "service": LOGIN_SERVER}
    answers = [
        await site.call(rule.method, rule.path, auth=None, headers=headers) for rule in RULES
    ]
    answers += [
        await site.call("GET", "/oauth2/token", auth=None, headers=headers),
        await site.call("POST", "/oauth2/token", auth=None, headers=headers, data=form),
    ]
    assert {answer.status_code for answer in answers} == {401}
