import base64
import hashlib
import hmac

import pytest

from shared.errors import BlobUploadUnknown
from shared.model import upload as uploads
from shared.model.upload import (
    LISTED_PIECES,
    Piece,
    Seal,
    Upload,
    block_id,
    chained_block_ids,
    listed_block_ids,
)

ID = "0123456789abcdef" * 2
SEAL = Seal(b"key")


def grown(pieces: int, algorithm: str = "sha256", blocks: int = 1) -> Upload:
    upload = Upload.start(ID, 1_700_000_000, algorithm)
    for number in range(pieces):
        piece = Piece((number + 1).to_bytes(8), blocks)
        upload = upload.extended(upload.offset + 10, upload.state, piece)
    return upload


def resealed(packed: bytes) -> str:
    """Seal bytes of another version with the right key."""
    mac = hmac.digest(b"key", b"a/b\0me\0" + packed, hashlib.sha256)
    return base64.urlsafe_b64encode(packed + mac).decode()


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("pieces", [0, 1, LISTED_PIECES, LISTED_PIECES + 1, 500])
def test_a_session_comes_out_of_its_seal_as_it_went_in(pieces: int, algorithm: str) -> None:
    upload = grown(pieces, algorithm)
    assert SEAL.open(SEAL.close(upload, "a/b", "me"), "a/b", "me") == upload


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_token_is_shorter_than_2_000_characters_at_any_length(algorithm: str) -> None:
    for pieces in range(2 * LISTED_PIECES):
        upload = grown(pieces, algorithm, blocks=2**20)
        assert len(SEAL.close(upload, "a" * 256, "me" * 32)) <= 1_300


def test_a_token_is_made_of_characters_that_a_url_takes() -> None:
    assert set(SEAL.close(grown(48), "a", "me")) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    )


def test_a_token_with_its_padding_is_the_same() -> None:
    token = SEAL.close(grown(1), "a/b", "me")
    assert SEAL.open(token + "=" * (-len(token) % 4), "a/b", "me") == grown(1)


@pytest.mark.parametrize(
    ("seal", "repository", "caller"),
    [
        (Seal(b"another key"), "a/b", "me"),
        (SEAL, "a/c", "me"),
        (SEAL, "a/b", "you"),
        (SEAL, "a/b\0me", ""),
        (SEAL, "", "a/b\0me"),
    ],
    ids=["another key", "another repository", "another caller", "shifted", "shifted back"],
)
def test_a_token_is_good_for_its_registry_repository_and_caller_alone(
    seal: Seal, repository: str, caller: str
) -> None:
    token = SEAL.close(grown(2), "a/b", "me")
    with pytest.raises(BlobUploadUnknown):
        seal.open(token, repository, caller)


def test_no_character_of_a_token_can_be_changed() -> None:
    token = SEAL.close(grown(1), "a/b", "me")
    for place, character in enumerate(token):
        other = "A" if character != "A" else "B"
        with pytest.raises(BlobUploadUnknown):
            SEAL.open(token[:place] + other + token[place + 1 :], "a/b", "me")


@pytest.mark.parametrize("token", ["", "A", "AAAA", "A" * 43, "A" * 2_000, "!", "ä", "==", "\0"])
def test_what_is_no_token_is_an_unknown_upload(token: str) -> None:
    with pytest.raises(BlobUploadUnknown):
        SEAL.open(token, "a/b", "me")


def test_a_token_of_another_version_is_an_unknown_upload() -> None:
    packed = uploads._pack(grown(0))
    assert SEAL.open(resealed(packed), "a/b", "me") == grown(0)
    with pytest.raises(BlobUploadUnknown):
        SEAL.open(resealed(b"\2" + packed[1:]), "a/b", "me")


def test_the_pieces_are_forgotten_once_there_are_too_many() -> None:
    assert len(grown(LISTED_PIECES).pieces or ()) == LISTED_PIECES
    long = grown(LISTED_PIECES + 1)
    assert (long.pieces, long.blocks) == (None, LISTED_PIECES + 1)
    assert long.last == (LISTED_PIECES + 1).to_bytes(8)


def test_block_ids_are_of_one_length_and_never_the_same() -> None:
    ids = listed_block_ids([Piece(bytes([n]) * 8, 3) for n in range(1, 9)])
    assert {len(name) for name in ids} == {40}
    assert len(set(ids)) == len(ids) == 24


def test_the_chain_is_found_among_all_that_was_staged() -> None:
    pieces = [Piece((n + 1).to_bytes(8), 1 + n % 3) for n in range(60)]
    wanted = listed_block_ids(pieces)
    strays = [
        block_id(b"s" * 8, pieces[9].nonce, 0),  # a second PATCH of the same session
        block_id(b"t" * 8, b"s" * 8, 0),  # and one that continued it
        block_id(b"u" * 8, bytes(8), 0),
    ]
    staged = [*reversed(wanted), *strays]
    assert chained_block_ids(staged, pieces[-1].nonce) == wanted


def test_the_chain_of_nothing_is_empty() -> None:
    assert chained_block_ids([], bytes(8)) == []
    assert chained_block_ids([block_id(b"a" * 8, bytes(8), 0)], b"b" * 8) == []


def test_the_hash_is_taken_up_where_it_was_left() -> None:
    hasher = Upload.start(ID, 0).hasher()
    hasher.update(bytearray(b"one"))
    upload = Upload.start(ID, 0).extended(3, hasher.state(), Piece(b"n" * 8, 1))
    resumed = SEAL.open(SEAL.close(upload, "a", "me"), "a", "me").hasher()
    resumed.update(bytearray(b"two"))
    assert resumed.digest().encoded == hashlib.sha256(b"onetwo").hexdigest()
