import pytest

from shared.model.page import cut_page

CASES = [
    ("fewer than asked for", "ab", 3, "ab", False, "b"),
    ("as many as asked for", "abc", 3, "abc", False, "c"),
    ("one more than asked for", "abcd", 3, "abc", True, "c"),
    ("none there", "", 3, "", False, ""),
    ("none asked for", "a", 0, "", False, ""),
]


@pytest.mark.parametrize(
    ("found", "limit", "items", "has_more", "last"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_a_page_is_cut(found: str, limit: int, items: str, has_more: bool, last: str) -> None:
    page = cut_page(found, limit, str)
    assert ("".join(page.items), page.has_more, page.last) == (items, has_more, last)
