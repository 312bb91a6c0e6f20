"""Whether the registry is one, and who may use it."""

import httpx
import pytest

from tests.conformance.repository import Repository, answered, codes
from tests.conformance.requirements import shows
from tests.support.hosts import Registry
from tests.support.ways import Way

SCHEMES = {
    Way.ANONYMOUS: "Bearer",
    Way.BASIC: "Basic",
    Way.BEARER_FRESH: "Bearer",
    Way.BEARER_CACHED: "Bearer",
}


@shows("api-2")
def test_the_root_says_that_this_is_a_registry(http: httpx.Client, way: Way) -> None:
    answer = http.get("/v2/")  # which asks for a token in every mode
    assert answer.status_code == 200
    assert answer.request.headers.get("Authorization", "").partition(" ")[0] == SCHEMES[way]


@shows("api-2")
@pytest.mark.parametrize(
    ("way", "tokens"), [(Way.BEARER_FRESH, 3), (Way.BEARER_CACHED, 1)], indirect=["way"]
)
def test_a_cached_token_is_used_again(
    http: httpx.Client, repository: Repository, tokens: int
) -> None:
    used = {repository.ask("GET", "tags/list").request.headers["Authorization"] for _ in range(3)}
    assert len(used) == tokens


@shows("api-1", "api-3")
def test_without_credentials_nothing_is_told(closed_registry: Registry) -> None:
    answer = httpx.get(f"{closed_registry.url}/v2/conformance/any/tags/list")
    assert answer.status_code == 401
    assert codes(answer) == ["UNAUTHORIZED"]


@shows("extension-1")
@pytest.mark.parametrize("path", ["/v2/_oci/ext/discover", "/v2/conformance/a/_oci/ext/discover"])
def test_extensions_are_not_supported(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert answer.status_code == 404
    assert codes(answer) == ["UNSUPPORTED"]


@shows("extension-2")
def test_the_catalog_pages_as_lists_of_tags_do(http: httpx.Client, repository: Repository) -> None:
    repository.push_manifest_of_nothing("v1")
    before = repository.name[:-1]
    found = answered(http.get("/v2/_catalog", params={"n": 1, "last": before}))
    assert found == {"repositories": [repository.name]}
