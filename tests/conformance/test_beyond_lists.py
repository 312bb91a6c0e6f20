"""Lists a page at a time: the catalog, tags, referrers."""

from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from tests.conformance.data import SBOM, DataSet, subject
from tests.conformance.repository import Repository, answered, codes, next_page
from tests.conformance.requirements import shows
from tests.support.ways import Way

pytestmark = pytest.mark.parametrize("way", [Way.BEARER_CACHED], indirect=True)


@pytest.fixture
def siblings(repository: Repository) -> list[str]:
    """The names of five repositories that follow each other in the catalog."""
    names = [f"{repository.name}/{ending}" for ending in ("a", "a-b", "a.b", "a/b", "ab")]
    for name in names:
        Repository(repository.http, name).push_manifest_of_nothing("v1")
    return names


@shows("acr-1", "acr-6", "extension-2")
@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_catalog_is_listed_by_pages(
    http: httpx.Client, repository: Repository, siblings: list[str], n: int
) -> None:
    found: list[str] = []
    path: str | None = f"/v2/_catalog?n={n}&last={repository.name}"
    while path and len(found) < len(siblings):
        answer = http.get(path)
        page = answered(answer)["repositories"]
        path = next_page(answer)
        assert path is None or len(page) == n
        found += page
    assert found[:5] == siblings


@shows("acr-1")
def test_a_repository_without_manifests_is_not_listed(repository: Repository) -> None:
    repository.push_blob(b"{}")
    query = {"n": "1", "last": repository.name[:-1]}
    page = answered(repository.http.get("/v2/_catalog", params=query))["repositories"]
    assert repository.name not in page


@shows("acr-6")
def test_links_are_relative_and_whole(http: httpx.Client, siblings: list[str]) -> None:
    repository = Repository(http, siblings[3])
    repository.push_manifest_of_nothing("v2")
    answer = repository.ask("GET", "tags/list?n=1")
    link = urlsplit(next_page(answer) or "")
    assert "/" in siblings[3]
    assert link.path == f"/v2/{siblings[3]}/tags/list"
    assert not link.netloc
    assert all("=" in pair for pair in link.query.split("&"))
    assert dict(parse_qsl(link.query, keep_blank_values=True)) == {
        "last": "v1",
        "n": "1",
        "orderby": "",
    }


@shows("acr-1", "tags-4")
@pytest.mark.parametrize("n", ["-1", "many", "1.5", "0x1", " 1"])
def test_a_page_of_no_size_is_refused(repository: Repository, n: str) -> None:
    repository.push_manifest_of_nothing("v1")
    for path in ("/v2/_catalog", repository.path("tags/list")):
        answer = repository.http.get(path, params={"n": n})
        assert answer.status_code == 400
        assert codes(answer) == ["PAGINATION_NUMBER_INVALID"]


@shows("acr-1", "tags-4")
def test_a_page_of_any_size_may_be_asked_for(repository: Repository) -> None:
    repository.push_manifest_of_nothing("v1")
    assert repository.tags(n=10**15) == ["v1"]
    assert repository.tags(n="") == ["v1"]


@shows("tags-4", "tags-5", "tags-2")
def test_more_tags_than_a_page_holds_are_linked(repository: Repository) -> None:
    manifest = DataSet().index([])
    tags = [f"v{number:04}" for number in range(1020)]
    for start in range(0, len(tags), 10):
        pushed = repository.push_manifest(manifest, tag=tags[start : start + 10])
        assert pushed.status_code == 201
    first = repository.ask("GET", "tags/list")
    page = answered(first)["tags"]
    rest = answered(repository.http.get(next_page(first) or ""))["tags"]
    assert page + rest == tags


@shows("referrers-10", "acr-6")
def test_the_last_page_of_referrers_has_no_link(repository: Repository) -> None:
    data = subject()
    repository.push(data)
    ((target, descriptors),) = data.referrers.items()
    answer = repository.ask("GET", f"referrers/{target}?n={len(descriptors)}")
    assert len(answered(answer)["manifests"]) == len(descriptors)
    assert next_page(answer) is None


@shows("referrers-10", "referrers-11", "referrers-12")
def test_more_referrers_than_a_page_holds_are_linked(repository: Repository) -> None:
    data = DataSet()
    target = data.image()
    for number in range(105):
        note = {"number": str(number)}
        data.index([], subject=target.descriptor(), artifactType=SBOM, annotations=note)
    repository.push(data)
    first = repository.ask("GET", f"referrers/{target.digest}", params={"artifactType": SBOM})
    second = repository.http.get(next_page(first) or "")
    assert second.headers["OCI-Filters-Applied"] == "artifactType"
    pages = [answered(page)["manifests"] for page in (first, second)]
    assert [len(page) for page in pages] == [100, 5]
    assert len({one["digest"] for page in pages for one in page}) == 105
