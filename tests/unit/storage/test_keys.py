import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName, Tag
from shared.storage import keys

NAMES = ["a", "a-b", "a.b", "a/b", "a0", "a__b", "a_b", "aa", "a/b-c/d.e", "a--b", "a-b/c", "b"]
DIGEST, OTHER = Digest.of(b"one"), Digest.of(b"two", "sha512")

FORBIDDEN = set("/\\#?") | {chr(code) for code in [*range(0x20), *range(0x7F, 0xA0)]}
"""What a key of Azure's tables may not hold."""


@pytest.mark.parametrize("name", NAMES)
def test_a_name_comes_back_out_of_its_key(name: str) -> None:
    assert keys.decode_repository(keys.encode_repository(RepositoryName(name))) == name


def test_keys_sort_as_names_do() -> None:
    encoded = [keys.encode_repository(RepositoryName(name)) for name in sorted(NAMES)]
    assert encoded == sorted(encoded)
    assert len(set(encoded)) == len(NAMES)


ALL_KEYS = [
    keys.contents_partition("g", RepositoryName("a/b")),
    keys.blob_partition("g", DIGEST),
    keys.manifest(DIGEST),
    keys.tag(Tag("v1")),
    keys.blob(DIGEST),
    keys.edge(DIGEST, OTHER, "l"),
    keys.referrer(DIGEST, OTHER),
    keys.outbox("20240101T000000000000", "id"),
    keys.holder(RepositoryName("a/b")),
    keys.encode_repository(RepositoryName("a/b")),
]


@pytest.mark.parametrize("key", ALL_KEYS)
def test_no_key_holds_a_character_that_azure_forbids(key: str) -> None:
    assert not FORBIDDEN & set(key)
    assert len(key.encode("utf-16-le")) <= 1_024


def test_the_longest_keys_fit() -> None:
    longest = RepositoryName("a" * 256)
    assert len(keys.contents_partition("g" * 32, longest)) <= 512
    assert len(keys.referrer(OTHER, OTHER)) <= 512


@pytest.mark.parametrize(
    ("key", "prefix"),
    [
        (keys.manifest(DIGEST), "manifest"),
        (keys.tag(Tag("zzz")), "tag"),
        (keys.tag(Tag("~" * 8)), "tag"),
        (keys.edge(DIGEST, OTHER, "l"), f"edge|{DIGEST}"),
        (keys.referrer(DIGEST, OTHER), f"referrer|{DIGEST}"),
        (keys.holder(RepositoryName("zz")), "repo"),
    ],
)
def test_the_keys_below_a_prefix_lie_before_its_end(key: str, prefix: str) -> None:
    assert f"{prefix}|" < key < keys.end_of(prefix)


def test_the_last_part_is_a_tag_or_a_digest() -> None:
    assert keys.last_part(keys.tag(Tag("v1"))) == "v1"
    assert keys.last_part(keys.referrer(DIGEST, OTHER)) == str(OTHER)


def test_a_partition_tells_whose_it_is() -> None:
    for name in map(RepositoryName, NAMES):
        assert keys.repository_of(keys.contents_partition("g" * 32, name)) == name
    for digest in (DIGEST, OTHER):
        assert keys.digest_of(keys.blob_partition("g" * 32, digest)) == digest


def test_all_partitions_of_a_generation_are_one_range() -> None:
    ours, theirs = "g" * 32, ["f" * 32, "h" * 32, "g" * 31 + "h"]
    first = keys.of_generation(ours)
    last = keys.contents_partition(ours, RepositoryName("z" * 256))
    assert first < keys.contents_partition(ours, RepositoryName("0")) < last < keys.end_of(first)
    for generation in theirs:
        partition = keys.contents_partition(generation, RepositoryName("a"))
        assert not first <= partition < keys.end_of(first)
    assert ours < keys.after_partition(ours) < first
