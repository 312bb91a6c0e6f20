r"""Spellings: what a text says, whichever way a program has written it.

    %2F %2f                    in addresses
    \/ \" \\ \u002F \x2f       in JSON and scripts
    &#47; &#x2F; &amp; &sol;   in HTML

One may be written inside of another. Besides, a blank may be a `+`, both forms of Base64 are one,
and small letters and capitals are the same.
"""

import re
from collections.abc import Iterator, Sequence
from html import unescape

type Span = tuple[int, int]

_MOST_LEVELS = 3
_SPELLED = re.compile(
    rb"%[0-9A-Fa-f]{2}"
    rb"|\\u[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2}"
    rb"|\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}|\\[/\"'\\]"
    rb"|&(?:#[0-9]{1,8}|#[Xx][0-9A-Fa-f]{1,8}|[A-Za-z][0-9A-Za-z]{1,31});"
)
_CUT = re.compile(
    rb"(?:%[0-9a-f]?|\\(?:u[0-9a-f]{0,3}|x[0-9a-f]?)?"
    rb"|&(?:#x?[0-9a-f]{0,8}|[a-z][0-9a-z]{0,31})?)\Z"
)
_SAME = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ-_ ", b"abcdefghijklmnopqrstuvwxyz+/+")


def readings(data: bytes) -> Iterator[tuple[bytes, Sequence[Span]]]:
    """Give a text as it is, then what it spells, and what that does; three times at the most.

    With each byte of a reading goes the span of the text, in bytes, that it stands for.
    """
    spans: Sequence[Span] = [(place, place + 1) for place in range(len(data))]
    yield data.translate(_SAME), spans
    for _ in range(_MOST_LEVELS):
        read, spans = _read(data, spans)
        if read == data:
            return
        data = read
        yield data.translate(_SAME), spans


def whole(read: bytes) -> int:
    """Give where a reading ends, without a spelling that was cut."""
    cut = _CUT.search(read)
    return cut.start() if cut else len(read)


def _read(data: bytes, spans: Sequence[Span]) -> tuple[bytes, Sequence[Span]]:
    read, places, end = bytearray(), list[Span](), 0
    for found in _SPELLED.finditer(data):
        begin = found.start()
        meant = _meant(found.group())
        read += data[end:begin] + meant
        places += spans[end:begin]
        end = found.end()
        places += [(spans[begin][0], spans[end - 1][1])] * len(meant)
    return bytes(read + data[end:]), [*places, *spans[end:]]


def _meant(spelled: bytes) -> bytes:
    text = spelled.decode()
    match text[:2]:
        case "\\u":
            return bytes.fromhex(text.replace("\\u", "")).decode("utf-16-be", "replace").encode()
        case "\\x":
            return bytes.fromhex(text[2:])
    match text[0]:
        case "%":
            return bytes.fromhex(text[1:])
        case "&":
            return unescape(text).encode(errors="replace")
    return spelled[1:]
