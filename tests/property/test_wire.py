from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.errors import BlobUploadInvalid, PaginationNumberInvalid, RangeInvalid
from shared.wire.paging import Wanted
from shared.wire.ranges import parse_content_range, parse_range
from tests.unit.wire.conftest import request

SIZES = st.integers(0, 20)
PLACES = st.one_of(st.none(), st.integers(0, 25))


def reference(first: int | None, last: int | None, size: int) -> range | str | None:
    """Read `bytes=FIRST-LAST` as RFC 9110 14.1.2 words it; one that ends early is refused."""
    if first is None and last is None:
        return None
    places = range(size)
    if first is None:
        wanted = places[-last:] if last else places[:0]
    else:
        wanted = places[first:] if last is None else places[first : last + 1]
    return wanted or "outside"


@given(PLACES, PLACES, SIZES)
@example(None, 0, 10)
@example(0, None, 0)
def test_ranges_are_read_as_the_reference_reads_them(
    first: int | None, last: int | None, size: int
) -> None:
    header = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    wanted = reference(first, last, size)
    if wanted == "outside":
        with pytest.raises(RangeInvalid):
            parse_range(header, size)
    else:
        assert parse_range(header, size) == wanted


@given(st.one_of(st.text(max_size=30), st.text("bytes=-0123456789, */", max_size=40)), SIZES)
def test_any_range_lies_inside_or_is_refused_or_passed_over(header: str, size: int) -> None:
    try:
        wanted = parse_range(header, size)
    except RangeInvalid:
        return
    assert wanted is None or (wanted and 0 <= wanted.start < wanted.stop <= size)


@given(st.one_of(st.text(max_size=30), st.text("bytes=-0123456789 */", max_size=40)))
def test_any_place_of_a_part_is_read_or_refused(header: str) -> None:
    try:
        first, last = parse_content_range(header)
    except BlobUploadInvalid:
        return
    assert (first is None) == (last is None) == (not header)
    assert first is None or (last is not None and 0 <= first <= last)


@given(st.text(max_size=40), st.integers(1, 1_000))
def test_any_number_is_read_within_the_bounds_or_refused(text: str, most: int) -> None:
    try:
        wanted = Wanted.read(request(query=f"n={quote(text)}"), most)
    except PaginationNumberInvalid:
        assert not (text.isascii() and text.isdigit()) or len(text) > 18
    else:
        assert 0 <= wanted.n <= most
        assert wanted.n == (min(int(text), most) if text else most)
