import pytest

from shared.errors import DigestInvalid, TagInvalid, TooManyTags
from shared.model.digest import Digest
from shared.services.content.pushes import Condition
from shared.wire import conditions
from shared.wire.request import Call
from tests.unit.wire.conftest import request

DIGEST, OTHER = Digest.of(b"one"), Digest.of(b"two")


def call(rest: str = "latest", query: str = "", **headers: str) -> Call:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Call(request(query=query, headers=named), rest, rest)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("", False),
        ("*", True),
        (f'"{DIGEST}"', True),
        (f'W/"{DIGEST}"', True),
        (f'"{OTHER}", "{DIGEST}"', True),
        (str(DIGEST), True),
        (f'"{OTHER}"', False),
        (",", False),
    ],
)
def test_content_that_the_client_has_is_unchanged(header: str, wanted: bool) -> None:
    assert conditions.is_unchanged(call(if_none_match=header), DIGEST) is wanted


@pytest.mark.parametrize(
    ("match", "none_match", "wanted"),
    [
        ("", "", Condition()),
        ("", "*", Condition(is_new=True)),
        ("", f'"{DIGEST}"', Condition()),
        ("*", "", Condition(frozenset("*"))),
        (f'"{DIGEST}", "{OTHER}"', "", Condition(frozenset({str(DIGEST), str(OTHER)}))),
        (",", "", Condition(frozenset())),
    ],
)
def test_a_push_may_have_a_condition(match: str, none_match: str, wanted: Condition) -> None:
    assert conditions.of_push(call(if_match=match, if_none_match=none_match)) == wanted


def test_a_push_by_tag_sets_that_tag_alone() -> None:
    assert conditions.pushed_tags(call("latest", "tag=other")) == (["latest"], None)


@pytest.mark.parametrize(
    ("query", "tags"),
    [("", []), ("tag=a", ["a"]), ("tag=a&tag=b&tag=a&tags=c", ["a", "b"])],
)
def test_a_push_by_digest_sets_the_tags_it_names(query: str, tags: list[str]) -> None:
    assert conditions.pushed_tags(call(str(DIGEST), query)) == (tags, DIGEST)


def test_a_push_sets_at_most_so_many_tags() -> None:
    most = "&".join(f"tag=v{number}" for number in range(conditions.TAGS))
    assert len(conditions.pushed_tags(call(str(DIGEST), most))[0]) == conditions.TAGS
    with pytest.raises(TooManyTags):
        conditions.pushed_tags(call(str(DIGEST), f"{most}&tag=more"))


@pytest.mark.parametrize("query", ["tag=", "tag=.a", "tag=a&tag=a/b", "tag=%00"])
def test_a_tag_that_is_none_is_refused(query: str) -> None:
    with pytest.raises(TagInvalid):
        conditions.pushed_tags(call(str(DIGEST), query))


def test_content_is_pushed_under_its_own_digest() -> None:
    conditions.check_digest(DIGEST, DIGEST)
    conditions.check_digest(DIGEST, None)
    with pytest.raises(DigestInvalid, match=f"is {DIGEST}, not {OTHER}"):
        conditions.check_digest(DIGEST, OTHER)
