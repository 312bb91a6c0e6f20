"""Route templates: which are accepted, and which paths they match."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from infra.devhost.http.constraints import RouteError
from infra.devhost.http.router import Entry, Route, Router, decode_path, is_malformed

RECORDED = Path(__file__).parent / "data/router-cases.json"
"""What ASP.NET Core's router behind Kestrel answered to 10,000 requests: sets of routes (name,
template, methods, in order) and of cases (method, path, and what came: the route's name with its
parameters, 404 or 400). The first set is the registry's own routes,
as they were then."""

MANIFEST = r"v2/{*path:regex(^.+/manifests/[^/]+$)}"
UPLOADS = r"v2/{*path:regex(^.+/blobs/uploads/?$)}"
DIGEST = r"v2/{*path:regex(^.+/blobs/sha256:[a-f0-9]{{64}}$)}"

MATCHES = [
    ("v2", "/v2", {}),
    ("v2", "/v2/", {}),
    ("v2", "/V2", {}),
    ("/v2/", "/v2", {}),
    ("V2", "/v2", {}),
    ("", "/", {}),
    ("v2/_catalog", "/v2/_catalog", {}),
    ("v2/{*path}", "/v2", {}),
    ("v2/{*path}", "/v2/", {}),
    ("v2/{*path}", "/v2/a//b", {"path": "a//b"}),
    ("v2/{*path}", "/v2/a/b/", {"path": "a/b/"}),
    ("v2/{**path}", "/v2/a/b", {"path": "a/b"}),
    ("v2/{*path=none}", "/v2", {"path": "none"}),
    (MANIFEST, "/v2/a/b/manifests/latest", {"path": "a/b/manifests/latest"}),
    (MANIFEST, "/V2/a/Manifests/x", {"path": "a/Manifests/x"}),
    (MANIFEST, "/v2/a%2Fb/manifests/x", {"path": "a%2Fb/manifests/x"}),
    (UPLOADS, "/v2/a/blobs/uploads/", {"path": "a/blobs/uploads/"}),
    (UPLOADS, "/v2/a/blobs/uploads", {"path": "a/blobs/uploads"}),
    (DIGEST, f"/v2/a/blobs/sha256:{'0' * 64}", {"path": f"a/blobs/sha256:{'0' * 64}"}),
    (r"v2/{*p:regex(^.+/(?:manifests|tags)/[^/]+$)}", "/v2/a/tags/b", {"p": "a/tags/b"}),
    (r"v2/{*p:regex(^.+/blobs/[^/]+:[^/]+$)}", "/v2/a/blobs/b:c", {"p": "a/blobs/b:c"}),
    (r"v2/{*p:regex(tags)}", "/v2/a/tags/b", {"p": "a/tags/b"}),
    ("acr/v1/{name}", "/acr/v1/x", {"name": "x"}),
    ("acr/{name?}", "/acr", {}),
    ("acr/{name:int?}", "/acr", {}),
    ("acr/{name=all}", "/acr", {"name": "all"}),
    ("n/{n:int:maxlength(2)}", "/n/42", {"n": "42"}),
    ("n/{n:guid}", "/n/6f9619ff-8b86-d011-b42d-00cf4fc964ff", None),
]
MISSES = [
    ("v2", "/v2/x"),
    ("v2", "/v2//"),
    ("v2/_catalog", "/v2"),
    ("v2/{*path}", "/v2//x"),
    ("v2/{*path}", "/v3/x"),
    (MANIFEST, "/v2"),
    (MANIFEST, "/v2/"),
    (MANIFEST, "/v2/manifests/x"),
    (MANIFEST, "/v2/a/manifests/x/y"),
    (DIGEST, "/v2/a/blobs/sha256:00"),
    ("acr/v1/{name}", "/acr/v1"),
    ("acr/v1/{name}", "/acr/v1/a/b"),
    ("acr/v1/{name}", "/acr//v1/a"),
    ("n/{n:int}", "/n/x"),
    ("n/{n:alpha}", "/n/1"),
    ("n/{n:guid}", "/n/x"),
    ("n/{n:maxlength(2)}", "/n/123"),
    ("n/{n:minlength(2)}", "/n/1"),
    ("n/{n:length(2)}", "/n/1"),
    ("n/{n:range(1,5)}", "/n/6"),
    ("n/{n:int}", "/n/2147483648"),
    ("n/{n:long}", "/n/9223372036854775808"),
]
REFUSED = [
    r"v2/{*p:regex(^[a]{64}$)}",
    "v2/{*p}/tags/list",
    r"v2/{*p:regex(^a$)?}",
    "a//b",
    "v2/{x",
    "v2/x}",
    "v2/{x}y",
    "v2/x?",
    "v2/{}",
    "v2/{a}/{A}",
    "v2/{a:custom}",
    "v2/{a:regex([)}",
    "v2/{a:regex(x}",
    "v2/{a:maxlength(x)}",
    "v2/{a:regex(x)y}",
    "v2/{a:datetime}",
    "v2/{a:int(3)}",
    "v2/{a:length}",
    "v2/{a:length(5,2)}",
    "v2/{a:minlength(-1)}",
    "v2/{a:range(1)}",
    "v2/{a:range(5,1)}",
]


@pytest.mark.parametrize(("template", "path", "values"), MATCHES)
def test_path_fits(template: str, path: str, values: dict[str, str] | None) -> None:
    found = Route(template).match(path)
    assert found is not None
    assert values is None or found == values


@pytest.mark.parametrize(("template", "path"), MISSES)
def test_path_does_not_fit(template: str, path: str) -> None:
    assert Route(template).match(path) is None


@pytest.mark.parametrize("template", REFUSED)
def test_template_is_refused(template: str) -> None:
    with pytest.raises(RouteError):
        Route(template)


def test_argument_ends_at_a_parenthesis_before_a_colon() -> None:
    """ASP.NET cuts such a regex in two, and the second half is no constraint it knows."""
    with pytest.raises(RouteError):
        Route("v2/{*p:regex((.+):(.+))}")


def test_prefix_comes_first() -> None:
    assert Route("x", "api").match("/api/x") == {}
    assert Route("/x/", "/api/").template == "api/x"


def test_first_entry_wins_however_literal_a_later_one_is() -> None:
    router = Router(
        [
            Entry(Route("v2/{*path}"), frozenset({"GET"}), "all"),
            Entry(Route("v2/_catalog"), frozenset(), "catalog"),
        ]
    )
    assert router.find("GET", "/v2/_catalog") == ("all", {"path": "_catalog"})
    assert router.find("PUT", "/v2/_catalog") == ("catalog", {})
    assert router.find("GET", "/v3") is None
    assert router.find("PUT", "/v2/x") is None


def test_same_route_may_differ_by_method() -> None:
    get, put = frozenset({"GET"}), frozenset({"PUT"})
    Router([Entry(Route("V2/{*p}"), get, 1), Entry(Route("v2/{*p}"), put, 2)])
    for methods in (get, frozenset[str]()):
        with pytest.raises(RouteError):
            Router([Entry(Route("V2/{*p}"), get, 1), Entry(Route("v2/{*p}"), methods, 2)])


@pytest.mark.parametrize(
    ("raw", "decoded"),
    [
        ("/v2/a%20b", "/v2/a b"),
        ("/v2/a%2Fb%2fc", "/v2/a%2Fb%2fc"),
        ("/v2/sha256%3Aabc", "/v2/sha256:abc"),
        ("/v2/%252F", "/v2/%2F"),
        ("/v2/%C3%A4", "/v2/ä"),
        ("/v2/../etc", "/etc"),
        ("/v2/%2e%2E/etc", "/etc"),
        ("/../../etc", "/etc"),
        ("/v2/./a/.", "/v2/a/"),
        ("/v2/a/..", "/v2/"),
        ("/v2/..a/.b", "/v2/..a/.b"),
        ("/v2/a//b", "/v2/a//b"),
        ("/", "/"),
    ],
)
def test_path_is_decoded_as_kestrel_does(raw: str, decoded: str) -> None:
    assert decode_path(raw.encode()) == decoded


def test_same_answers_as_the_real_router() -> None:
    refused, compared, others = set(), 0, []
    for number, recorded in enumerate(json.loads(RECORDED.read_text())):
        try:
            router = read_router(recorded["routes"])
        except RouteError:
            refused.add(number)
            continue
        for method, target, wanted in recorded["cases"]:
            compared += 1
            if (given := answer(router, method, target)) != wanted:
                others.append((number, method, target, wanted, given))
    assert others == []
    assert refused == {22, 39, 73, 80, 90, 95}  # these have `datetime`
    assert compared == 9_760


def read_router(routes: Sequence[tuple[str, str, Sequence[str]]]) -> Router[str]:
    return Router([Entry(Route(text), frozenset(methods), name) for name, text, methods in routes])


def answer(router: Router[str], method: str, target: str) -> Any:
    path = target.partition("?")[0].encode()
    if is_malformed(path):
        return 400
    found = router.find(method, decode_path(path))
    return list(found) if found else 404


@pytest.mark.parametrize(("raw", "is_bad"), [("/v2/%00", True), ("/v2/%2500", False)])
def test_a_null_in_a_path_is_malformed(raw: str, *, is_bad: bool) -> None:
    assert is_malformed(raw.encode()) is is_bad
