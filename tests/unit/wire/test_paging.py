import pytest

from shared.errors import PaginationNumberInvalid
from shared.model.page import Page
from shared.wire.paging import Wanted, artifact_type
from tests.unit.wire.conftest import request


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", Wanted(1_000, "")),
        ("n=", Wanted(1_000, "")),
        ("n=0", Wanted(0, "")),
        ("n=1&last=a", Wanted(1, "a")),
        ("n=007", Wanted(7, "")),
        ("n=1000", Wanted(1_000, "")),
        ("n=1001", Wanted(1_000, "")),
        ("n=" + "9" * 18, Wanted(1_000, "")),
        ("last=a%2Fb", Wanted(1_000, "a/b")),
        ("last=" + "a" * 600, Wanted(1_000, "a" * 512)),
        ("last=a%00b", Wanted(1_000, "a")),
        ("last=a%7fb", Wanted(1_000, "a~")),
        ("last=%f0%9f%98%80", Wanted(1_000, "~")),
    ],
)
def test_a_page_is_asked_for(query: str, wanted: Wanted) -> None:
    assert Wanted.read(request(query=query)) == wanted


@pytest.mark.parametrize("n", ["-1", "1.5", "a", "+1", "1e3", " 1", "9" * 19, "%d9%a1"])
def test_a_number_that_is_none_is_refused(n: str) -> None:
    with pytest.raises(PaginationNumberInvalid) as caught:
        Wanted.read(request(query=f"n={n}"))
    assert len(str(caught.value)) < 200


def test_a_list_may_have_shorter_pages() -> None:
    assert Wanted.read(request(query="n=500"), 100).n == 100
    assert Wanted.read(request(), 100).n == 100


def test_the_next_page_has_a_link_whose_pairs_all_have_their_sign() -> None:
    page = Page(["a"], has_more=True, last="team/app")
    assert Wanted(1, "").following("/v2/_catalog", page) == (
        "/v2/_catalog?last=team%2Fapp&n=1&orderby="
    )
    assert Wanted(1, "").following("/x", page, {"artifactType": "a/b+c"}) == (
        "/x?last=team%2Fapp&n=1&orderby=&artifactType=a%2Fb%2Bc"
    )


def test_the_last_page_has_no_link() -> None:
    assert Wanted(1, "").following("/x", Page(["a"], has_more=False, last="a")) == ""


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", ""),
        ("artifactType=a/b", "a/b"),
        ("artifactType=" + "a" * 300, "a" * 256),
        ("artifactType=application/spdx+json", "application/spdx+json"),
        ("artifactType=application%2Fspdx%2Bjson", "application/spdx+json"),
        ("artifactType=application/spdx%20json", "application/spdx+json"),
    ],
)
def test_a_bare_plus_of_a_filter_is_a_plus(query: str, wanted: str) -> None:
    assert artifact_type(request(query=query)) == wanted
