"""The methods of each path: one table, which the worker, a 405 and OPTIONS agree on."""

from collections.abc import Sequence

import pytest

from infra.devhost.worker import Function
from shared.wire import routes
from tests.support.app import Site, indexed
from tests.support.images import artifact, image

IMAGE = image(1, layers=1, size=10)
DIGEST = "sha256:" + "0" * 64
UPLOAD = "GET, HEAD, PATCH, PUT, DELETE"

PATHS = {
    "/v2": "GET, HEAD",
    "/v2/": "GET, HEAD",
    "/v2/_catalog": "GET, HEAD",
    "/V2/_CATALOG": "GET, HEAD",
    "/v2/a/manifests/latest": "GET, HEAD, PUT, DELETE",
    f"/v2/a%2Fb/manifests/{DIGEST.replace(':', '%3A')}": "GET, HEAD, PUT, DELETE",
    f"/v2/a/blobs/{DIGEST}": "GET, HEAD, DELETE",
    "/v2/a/blobs/uploads/": "POST",
    "/v2/a/blobs/uploads/x": UPLOAD,
    "/v2/a/tags/list": "GET, HEAD",
    f"/v2/a/referrers/{DIGEST}": "GET, HEAD",
    "/oauth2/token": "GET, POST",
    "/oauth2/token/": "GET, POST",
}


@pytest.fixture
def functions(worker: None) -> Sequence[Function]:
    return [function for function in indexed()[1] if function.kind == "httpTrigger"]


def test_the_worker_reports_the_table(functions: Sequence[Function]) -> None:
    reported = {
        (function.trigger["route"], function.name): sorted(map(str.upper, methods))
        for function in functions
        if (methods := function.trigger["methods"]) and not function.name.startswith("z_")
    }
    assert reported == {
        (route.template, name): sorted(methods)
        for route in (routes.TOKEN, *routes.UNDER_V2)
        for name, methods in route.functions.items()
    }


def test_every_path_of_the_table_has_its_fallback(functions: Sequence[Function]) -> None:
    taken = {f.name: {m.upper() for m in f.trigger["methods"]} for f in functions}
    assert taken["z_fallback"] == taken["z_acr_fallback"] == set(routes.METHODS)
    assert taken["z_token_fallback"] | taken["token_issue"] == set(routes.METHODS)


@pytest.mark.parametrize(("path", "allowed"), PATHS.items())
async def test_options_tells_the_methods_without_a_login(
    site: Site, path: str, allowed: str
) -> None:
    answer = await site.call("OPTIONS", path, auth=None)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["Allow"] == allowed


@pytest.mark.parametrize(("path", "allowed"), PATHS.items())
async def test_another_method_is_refused_with_those_there_are(
    site: Site, path: str, allowed: str
) -> None:
    others = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} - set(allowed.split(", "))
    assert others
    for method in others:
        answer = await site.call(method, path)
        assert (answer.status_code, answer.headers["Allow"]) == (405, allowed), method


@pytest.mark.parametrize("path", ["/v2/a", "/v2/a/MANIFESTS/b", "/v2/a/tags", "/v2/a%252Flist"])
async def test_options_of_what_is_no_path_is_as_any_other_method(site: Site, path: str) -> None:
    answers = [await site.call(method, path, auth=None) for method in ("OPTIONS", "POST")]
    assert [answer.status_code for answer in answers] == [401, 401]
    answer = await site.call("OPTIONS", path)
    assert (answer.status_code, "Allow" in answer.headers) == (404, False)


async def test_a_head_of_a_list_is_its_get_without_the_body(site: Site) -> None:
    await site.push("a", IMAGE, "v1")
    await site.push("a", artifact("a/sig", b"1", IMAGE.manifest), "v2")
    for path in ("_catalog?n=1", "a/tags/list?n=1", f"a/referrers/{IMAGE.digest}?n=1"):
        get, head = [await site.call(method, f"/v2/{path}") for method in ("GET", "HEAD")]
        assert (head.status_code, head.content) == (200, b"")
        for name in ("Content-Length", "Content-Type", "Link"):
            assert head.headers.get(name) == get.headers.get(name)


async def test_a_head_of_an_upload_tells_how_far_it_is(site: Site) -> None:
    step = await site.call("PATCH", await site.start("a"), content=b"0123")
    answer = await site.call("HEAD", step.headers["Location"])
    assert (answer.status_code, answer.headers["Range"]) == (204, "0-3")
