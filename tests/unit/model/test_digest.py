import hashlib

import pytest

from shared.errors import DigestInvalid
from shared.model.digest import ENCODED_LENGTHS, Digest

HEX_256, HEX_512 = "0123456789abcdef" * 4, "0123456789abcdef" * 8

REFUSED = [
    ("nothing", ""),
    ("no colon", HEX_256),
    ("no algorithm", f":{HEX_256}"),
    ("no digits", "sha256:"),
    ("a digit too few", f"sha256:{HEX_256[1:]}"),
    ("a digit too many", f"sha256:{HEX_256}0"),
    ("upper-case hex", f"sha256:{HEX_256.upper()}"),
    ("not hex", f"sha256:{'g' * 64}"),
    ("an upper-case algorithm", f"SHA256:{HEX_256}"),
    ("an unknown algorithm", f"md5:{'0' * 32}"),
    ("an algorithm of the grammar that we do not know", f"sha256+b64u:{HEX_256}"),
    ("a separator at the end of the algorithm", f"sha256+:{HEX_256}"),
    ("the length of the other algorithm", f"sha512:{HEX_256}"),
    ("a line break at the end", f"sha256:{HEX_256}\n"),
    ("a blank before", f" sha256:{HEX_256}"),
    ("digits that are not ASCII", f"sha256:{'\N{ARABIC-INDIC DIGIT ONE}' * 64}"),
    ("two digests", f"sha256:{HEX_256}:{HEX_256}"),
]


@pytest.mark.parametrize("text", [f"sha256:{HEX_256}", f"sha512:{HEX_512}"])
def test_a_digest_reads_and_writes_the_same(text: str) -> None:
    assert str(Digest.parse(text)) == text


@pytest.mark.parametrize("text", [text for _, text in REFUSED], ids=[why for why, _ in REFUSED])
def test_what_is_not_a_digest_is_refused(text: str) -> None:
    with pytest.raises(DigestInvalid):
        Digest.parse(text)


def test_a_refusal_says_what_to_use_instead() -> None:
    with pytest.raises(DigestInvalid, match="'md5' is not supported: use sha256 or sha512"):
        Digest.parse(f"md5:{'0' * 32}")


def test_a_refusal_does_not_repeat_a_long_text() -> None:
    with pytest.raises(DigestInvalid) as caught:
        Digest.parse("x" * 10_000)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("algorithm", ENCODED_LENGTHS)
def test_the_digest_of_content_is_hashlibs(algorithm: str) -> None:
    assert Digest.of(b"abc", algorithm).encoded == hashlib.new(algorithm, b"abc").hexdigest()
    assert Digest.parse(str(Digest.of(b"abc", algorithm))) == Digest.of(b"abc", algorithm)
