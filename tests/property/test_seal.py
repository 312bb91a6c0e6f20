from hypothesis import given
from hypothesis import strategies as st

from shared.errors import BlobUploadUnknown
from shared.model.hashing import STATE_BYTES
from shared.model.upload import LISTED_PIECES, Piece, Seal, Upload
from tests.property.strategies import NAMES

SEAL = Seal(b"key")
NONCES = st.binary(min_size=8, max_size=8)
PIECES = st.builds(Piece, NONCES, st.integers(0, 2**32 - 1))


@st.composite
def uploads(draw: st.DrawFn) -> Upload:
    algorithm = draw(st.sampled_from(sorted(STATE_BYTES)))
    size = STATE_BYTES[algorithm]
    pieces = draw(st.one_of(st.none(), st.lists(PIECES, max_size=LISTED_PIECES).map(tuple)))
    return Upload(
        id=draw(st.binary(min_size=16, max_size=16)).hex(),
        started=draw(st.integers(0, 2**63)),
        algorithm=algorithm,
        state=draw(st.binary(min_size=size, max_size=size)),
        offset=draw(st.integers(0, 2**63)),
        blocks=draw(st.integers(0, 2**32 - 1)),
        last=draw(NONCES),
        pieces=pieces,
    )


@given(uploads(), NAMES, st.text(max_size=20))
def test_a_session_comes_out_of_its_seal_as_it_went_in(
    upload: Upload, repository: str, caller: str
) -> None:
    token = SEAL.close(upload, repository, caller)
    assert len(token) <= 1_300
    assert SEAL.open(token, repository, caller) == upload


@given(uploads(), st.data())
def test_no_bit_of_a_token_can_be_changed(upload: Upload, data: st.DataObject) -> None:
    token = SEAL.close(upload, "a", "me")
    place = data.draw(st.integers(0, len(token) - 2))
    other = data.draw(st.sampled_from("Aa0-_").filter(lambda it: it != token[place]))
    assert not is_good(token[:place] + other + token[place + 1 :])


@given(st.one_of(st.text(max_size=300), st.text("Aa0-_=", max_size=2_000)))
def test_any_text_is_no_token(text: str) -> None:
    assert not is_good(text)


def is_good(token: str) -> bool:
    try:
        SEAL.open(token, "a", "me")
    except BlobUploadUnknown:
        return False
    return True
