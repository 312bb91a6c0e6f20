import pytest

from shared.errors import DigestInvalid, NameInvalid, TagInvalid
from shared.model.digest import Digest
from shared.model.names import NAME_LENGTH, parse_reference, parse_repository, parse_tag

NAMES = [
    "a",
    "0",
    "library/hello-world",
    "a/b/c/d/e/f/g/h",
    "a.b_c__d-e---f",
    "2048",
    "a" * NAME_LENGTH,
    "/".join("a" * (NAME_LENGTH // 2)) + "a",
]
NOT_NAMES = [
    "",
    "A",
    "a/B",
    "a b",
    "/a",
    "a/",
    "a//b",
    ".a",
    "a.",
    "a..b",
    "a___b",
    "_a",
    "a_",
    "-a",
    "a-",
    "a._b",
    "a/-b",
    "a:b",
    "a@b",
    "a\n",
    "a\0b",
    "ä",
    "\N{ARABIC-INDIC DIGIT ONE}",
    "../a",
    "_catalog",
    "a" * (NAME_LENGTH + 1),
]
TAGS = ["a", "latest", "v1.2.3-rc.1_build", "_", "A", "0", "a" * 128, "__--.."]
NOT_TAGS = ["", ".a", "-a", "a/b", "a b", "a:b", "a+b", "a\n", "ä", "a" * 129, "\0"]


@pytest.mark.parametrize("text", NAMES)
def test_a_repository_name_is_accepted(text: str) -> None:
    assert parse_repository(text) == text


@pytest.mark.parametrize("text", NOT_NAMES)
def test_what_is_not_a_repository_name_is_refused(text: str) -> None:
    with pytest.raises(NameInvalid):
        parse_repository(text)


@pytest.mark.parametrize("text", TAGS)
def test_a_tag_is_accepted(text: str) -> None:
    assert parse_tag(text) == text
    assert parse_reference(text) == text


@pytest.mark.parametrize("text", NOT_TAGS)
def test_what_is_not_a_tag_is_refused(text: str) -> None:
    with pytest.raises(TagInvalid):
        parse_tag(text)


def test_a_reference_with_a_colon_is_a_digest() -> None:
    digest = Digest.of(b"")
    assert parse_reference(str(digest)) == digest
    with pytest.raises(DigestInvalid):
        parse_reference("latest:")
