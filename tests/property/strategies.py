"""What names, tags, digests and bodies look like, and what nearly looks like them."""

from hypothesis import strategies as st

from shared.model.digest import ENCODED_LENGTHS, Digest

_WORDS = st.text("ab0z", min_size=1, max_size=4)
_SEPARATORS = st.sampled_from([".", "_", "__", "-", "--", "/"])

NAMES = st.lists(st.tuples(_WORDS, _SEPARATORS), min_size=1, max_size=5).map(
    lambda parts: "".join(word + separator for word, separator in parts)[: -len(parts[-1][1])]
)
"""Repository names of few letters, so that many are prefixes of one another."""

TAGS = st.from_regex(r"[aA0_][aA0._-]{0,6}", fullmatch=True)

DIGESTS = st.sampled_from(sorted(ENCODED_LENGTHS)).flatmap(
    lambda algorithm: st.binary(max_size=4).map(lambda content: Digest.of(content, algorithm))
)

CONTENTS = st.binary(max_size=600)

NEARLY = st.one_of(
    st.text(max_size=20),
    st.text("aA0._-/:@%\\ \n\0", max_size=300),
    st.from_regex(r"sha(256|512):[0-9a-fA-F]{0,140}"),
)
