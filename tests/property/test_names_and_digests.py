import hashlib
import re

from hypothesis import example, given
from hypothesis import strategies as st

from shared.errors import DigestInvalid, NameInvalid, TagInvalid
from shared.model.digest import ENCODED_LENGTHS, Digest
from shared.model.hashing import Hasher
from shared.model.names import RepositoryName, Tag, parse_reference, parse_repository, parse_tag
from shared.storage import keys
from tests.property.strategies import CONTENTS, DIGESTS, NAMES, NEARLY, TAGS

FORBIDDEN = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f]")


@given(NAMES)
def test_a_name_is_a_name_and_comes_back_out_of_its_key(name: str) -> None:
    assert parse_repository(name) == name
    key = keys.encode_repository(RepositoryName(name))
    assert keys.decode_repository(key) == name
    assert not FORBIDDEN.search(key)


@given(NAMES, NAMES)
@example("a/b", "a-b")
@example("a.b", "a/b")
@example("a", "a-")
@example("a_b", "ab")
def test_keys_sort_as_names_do(one: str, two: str) -> None:
    keyed = [keys.encode_repository(RepositoryName(name)) for name in (one, two)]
    assert (keyed[0] < keyed[1], keyed[0] == keyed[1]) == (one < two, one == two)


@given(TAGS)
def test_a_tag_is_a_tag_and_comes_back_out_of_its_key(tag: str) -> None:
    assert parse_reference(tag) == parse_tag(tag) == tag
    assert keys.last_part(keys.tag(Tag(tag))) == tag
    assert keys.tag("") < keys.tag(Tag(tag)) < keys.end_of("tag")


@given(DIGESTS)
def test_a_digest_comes_back_out_of_its_text_and_its_keys(digest: Digest) -> None:
    assert Digest.parse(str(digest)) == parse_reference(str(digest)) == digest
    for key in (keys.manifest(digest), keys.blob(digest), keys.tagged(digest, "t")[:-2]):
        assert keys.last_part(key) == str(digest)
        assert not FORBIDDEN.search(key)


@given(NEARLY)
def test_any_text_is_a_name_a_tag_a_digest_or_refused_in_few_words(text: str) -> None:
    for parse, error in (
        (parse_repository, NameInvalid),
        (parse_tag, TagInvalid),
        (Digest.parse, DigestInvalid),
    ):
        refusal = ""
        try:
            assert str(parse(text)) == text
        except error as caught:
            refusal = str(caught)
        assert text.isascii() or refusal
        assert len(refusal.encode()) < 3_000


@given(st.sampled_from(sorted(ENCODED_LENGTHS)), CONTENTS, st.data())
def test_a_hash_in_any_pieces_is_hashlibs(
    algorithm: str, content: bytes, data: st.DataObject
) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(content)), max_size=5).map(sorted))
    hasher, start = Hasher(algorithm), 0
    for end in [*cuts, len(content)]:
        hasher.update(bytearray(content[start:end]))
        hasher, start = Hasher(algorithm, hasher.state()), end
    assert hasher.digest().encoded == hashlib.new(algorithm, content).hexdigest()
    assert hasher.digest() == Digest.of(content, algorithm)
