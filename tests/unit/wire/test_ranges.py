import pytest

from shared.errors import BlobUploadInvalid, RangeInvalid
from shared.wire.ranges import is_plain, parse_content_range, parse_range

RANGES = [
    ("bytes=0-0", 10, range(1)),
    ("bytes=0-9", 10, range(10)),
    ("bytes=0-4194303", 10, range(10)),
    ("bytes=3-", 10, range(3, 10)),
    ("bytes=9-", 10, range(9, 10)),
    ("bytes=-3", 10, range(7, 10)),
    ("bytes=-30", 10, range(10)),
    (" bytes = 2 - 5 ", 10, range(2, 6)),
    ("", 10, None),
    ("bytes=-", 10, None),
    ("bytes=a-b", 10, None),
    ("bytes=0-1,3-4", 10, None),
    ("lines=0-1", 10, None),
    ("bytes=0", 10, None),
    ("bytes=1-2-3", 10, None),
    ("bytes=" + "9" * 19 + "-", 10, None),
    ("bytes=\u0661-\u0662", 10, None),
]

OUTSIDE = [
    ("bytes=10-", 10),
    ("bytes=10-20", 10),
    ("bytes=-0", 10),
    ("bytes=0-", 0),
    ("bytes=0-0", 0),
    ("bytes=-1", 0),
    ("bytes=5-4", 10),
]


@pytest.mark.parametrize(("header", "size", "wanted"), RANGES)
def test_a_range_of_a_blob_is_read(header: str, size: int, wanted: range | None) -> None:
    assert parse_range(header, size) == wanted


@pytest.mark.parametrize(("header", "size"), OUTSIDE)
def test_a_range_outside_of_the_blob_is_refused_with_its_size(header: str, size: int) -> None:
    with pytest.raises(RangeInvalid) as caught:
        parse_range(header, size)
    assert caught.value.size == size


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("bytes=5-", True),
        ("bytes=0-9", True),
        ("bytes=-5", False),
        ("bytes=-", False),
        ("bytes = 5 - 9", False),
        ("Bytes=5-9", False),
        ("bytes=5-9,11-12", False),
        ("bytes=a-b", False),
        ("lines=5-9", False),
        ("bytes=" + "9" * 19 + "-", False),
        ("bytes=5-9\n", False),
        ("", False),
    ],
)
def test_a_plain_range_is_told(header: str, wanted: bool) -> None:
    assert is_plain(header) is wanted


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("", (None, None)),
        ("0-0", (0, 0)),
        ("5-9", (5, 9)),
        ("bytes 5-9/*", (5, 9)),
        ("bytes=5-9", (5, 9)),
        ("bytes 5-9/100", (5, 9)),
        (" 5-9 ", (5, 9)),
    ],
)
def test_the_place_of_a_part_is_read(header: str, wanted: object) -> None:
    assert parse_content_range(header) == wanted


@pytest.mark.parametrize(
    "header", ["x", "9-5", "5-", "-5", "5", "bytes */100", "0-1,2-3", "0-" + "9" * 19, "1 - 2"]
)
def test_what_is_no_place_is_refused(header: str) -> None:
    with pytest.raises(BlobUploadInvalid, match="must be FIRST-LAST"):
        parse_content_range(header)
