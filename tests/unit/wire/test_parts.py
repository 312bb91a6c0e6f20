import pytest

from shared.errors import BlobUploadInvalid, DigestInvalid
from shared.wire.parts import digest_algorithm, read_part
from shared.wire.request import Call
from tests.unit.wire.conftest import request


def call(query: str = "", **headers: str) -> Call:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    made = request("PATCH", query=query, headers=named, body=[b"one", b"two"])
    return Call(made, "a", "")  # type: ignore[arg-type]


async def test_a_part_is_read_from_body_and_headers() -> None:
    part = read_part(call(content_range="3-8", content_length="6"))
    assert (part.start, part.end, part.length) == (3, 8, 6)
    assert b"".join([piece async for piece in part.body]) == b"onetwo"


def test_a_part_may_go_wherever_the_upload_is() -> None:
    part = read_part(call())
    assert (part.start, part.end, part.length) == (None, None, None)


def test_a_malformed_place_is_refused() -> None:
    with pytest.raises(BlobUploadInvalid):
        read_part(call(content_range="x"))


@pytest.mark.parametrize(
    ("query", "algorithm"),
    [("", "sha256"), ("digest-algorithm=", "sha256"), ("digest-algorithm=sha512", "sha512")],
)
def test_the_algorithm_may_be_announced(query: str, algorithm: str) -> None:
    assert digest_algorithm(call(query)) == algorithm


@pytest.mark.parametrize("name", ["md5", "SHA256", "sha256%20", "x" * 1_000])
def test_an_algorithm_that_we_do_not_know_is_refused(name: str) -> None:
    with pytest.raises(DigestInvalid, match="use sha256 or sha512") as caught:
        digest_algorithm(call(f"digest-algorithm={name}"))
    assert len(str(caught.value)) < 200
