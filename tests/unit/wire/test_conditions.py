import pytest

from shared.errors import ContentChanged, DigestInvalid, RangeInvalid, TagInvalid, TooManyTags
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
        ('"*"', False),
        ('W/"*"', False),
        (f'"x,{DIGEST}"', False),
        (f'"{DIGEST}', True),
    ],
)
def test_content_that_the_client_has_is_unchanged(header: str, wanted: bool) -> None:
    assert conditions.is_unchanged(call(if_none_match=header), DIGEST) is wanted


@pytest.mark.parametrize(
    ("header", "is_read"),
    [
        ("", True),
        ("*", True),
        (f'"{DIGEST}"', True),
        (str(DIGEST), True),
        (f'"{OTHER}", "{DIGEST}"', True),
        (f'W/"{OTHER}", "{DIGEST}"', True),
        (f'"{OTHER}"', False),
        (f'W/"{DIGEST}"', False),
        ('"*"', False),
        (",", False),
    ],
)
def test_only_content_that_the_client_names_is_read(header: str, is_read: bool) -> None:
    if is_read:
        assert not conditions.is_unchanged(call(if_match=header), DIGEST)
    else:
        with pytest.raises(ContentChanged, match=str(DIGEST)):
            conditions.is_unchanged(call(if_match=header), DIGEST)


def test_what_must_match_is_asked_first() -> None:
    own, other = f'"{DIGEST}"', f'"{OTHER}"'
    assert conditions.is_unchanged(call(if_match=own, if_none_match=own), DIGEST)
    assert not conditions.is_unchanged(call(if_match=own, if_none_match=other), DIGEST)
    with pytest.raises(ContentChanged):
        conditions.is_unchanged(call(if_match=other, if_none_match=own), DIGEST)


DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


def test_conditions_on_dates_are_passed_over() -> None:
    assert not conditions.is_unchanged(call(if_modified_since=DATE), DIGEST)
    assert not conditions.is_unchanged(call(if_unmodified_since=DATE), DIGEST)


@pytest.mark.parametrize(
    ("if_range", "wanted"),
    [
        (f'"{DIGEST}"', range(2, 5)),
        (f' "{DIGEST}" ', range(2, 5)),
        (f'W/"{DIGEST}"', None),
        (f'"{OTHER}"', None),
        (str(DIGEST), None),
        ("*", None),
        (DATE, None),
    ],
)
def test_a_part_is_read_only_of_the_content_that_the_client_names(
    if_range: str, wanted: range | None
) -> None:
    assert conditions.asked_part(call(range="bytes=2-4", if_range=if_range), DIGEST, 9) == wanted


def test_a_part_outside_is_refused_only_of_the_content_that_the_client_names() -> None:
    outside = {"range": "bytes=9-"}
    with pytest.raises(RangeInvalid):
        conditions.asked_part(call(**outside, if_range=f'"{DIGEST}"'), DIGEST, 9)
    assert conditions.asked_part(call(**outside, if_range=f'"{OTHER}"'), DIGEST, 9) is None


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({}, True),
        ({"range": "bytes=0-4"}, True),
        ({"range": "bytes=5-"}, True),
        ({"range": "bytes=-5"}, False),
        ({"range": "bytes=a-b"}, False),
        ({"range": "bytes=0-1,3-4"}, False),
        ({"range": "lines=0-1"}, False),
        ({"if_none_match": f'"{OTHER}"'}, True),
        ({"if_match": "*"}, False),
        ({"if_range": f'"{DIGEST}"'}, False),
        ({"if_modified_since": DATE}, False),
        ({"if_unmodified_since": DATE}, False),
    ],
)
def test_only_what_storage_reads_as_we_do_is_redirected(
    headers: dict[str, str], wanted: bool
) -> None:
    assert conditions.may_be_redirected(call(**headers)) is wanted


@pytest.mark.parametrize("name", ["range", "if-match", "if-range", "if-modified-since"])
def test_an_empty_header_is_not_left_to_storage(name: str) -> None:
    asked = call()
    asked.request.scope["headers"].append((name.encode(), b""))
    assert not conditions.may_be_redirected(asked)
    assert not conditions.is_unchanged(asked, DIGEST)
    assert conditions.asked_part(asked, DIGEST, 9) is None


@pytest.mark.parametrize(
    ("match", "none_match", "wanted"),
    [
        ("", "", Condition()),
        ("", "*", Condition(is_new=True)),
        ("", f'"{DIGEST}"', Condition()),
        ("*", "", Condition(frozenset("*"))),
        (f'"{DIGEST}", "{OTHER}"', "", Condition(frozenset({str(DIGEST), str(OTHER)}))),
        (",", "", Condition(frozenset())),
        (f'W/"{DIGEST}"', "", Condition(frozenset())),
        ('"*"', "", Condition(frozenset())),
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
