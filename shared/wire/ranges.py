"""Ranges: `Range` of a blob that is read, `Content-Range` of a part that is written."""

import re

from shared.errors import BlobUploadInvalid, RangeInvalid

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_PLAIN = re.compile(r"bytes=\d{1,18}-\d{0,18}", re.ASCII)
_CONTENT_RANGE = re.compile(r"(?:bytes[ =])?(\d{1,18})-(\d{1,18})(?:/(?:\d{1,18}|\*))?", re.ASCII)


def parse_range(header: str, size: int) -> range | None:
    """Read the bytes that `Range` asks for of `size`; None where all of them are to be sent.

    A header that is not understood, or names several ranges, is passed over (RFC 9110, 14.2).
    Raises RangeInvalid where the range lies outside, or ends before it begins.
    """
    found = _RANGE.fullmatch(header.strip().replace(" ", ""))
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        start, stop = max(size - int(last), 0), size
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
    if start >= stop:
        raise RangeInvalid(f"the blob has {size} bytes", size=size)
    return range(start, stop)


def is_plain(header: str) -> bool:
    """Tell a range that Azure Blob reads as we do: `bytes=5-` or `bytes=5-9`, and no other."""
    return _PLAIN.fullmatch(header) is not None


def parse_content_range(header: str) -> tuple[int, int] | tuple[None, None]:
    """Read the first and last byte of a part, from `0-99` or `bytes 0-99/*` (end-5).

    Raises BlobUploadInvalid.
    """
    if not header:
        return None, None
    found = _CONTENT_RANGE.fullmatch(header.strip())
    if found is None or int(found[1]) > int(found[2]):
        raise BlobUploadInvalid(f"Content-Range {header[:100]!r} must be FIRST-LAST")
    return int(found[1]), int(found[2])
