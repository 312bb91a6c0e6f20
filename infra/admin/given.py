"""Texts as operators give them: typed, in a file, or on standard input.

What is secret need not be typed, where others on the machine can read it: `@FILE` is a file's
content, and `-` is standard input.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.admin.opening import AdminError, Misuse

_STANDARD_INPUT = "-"


def text_of(given: str, what: str) -> str:
    """Give a text; of a file or of standard input without the end of its last line."""
    text = given
    if given == _STANDARD_INPUT:
        text = sys.stdin.read().rstrip("\r\n")
    elif given.startswith("@"):
        text = read(Path(given[1:]), what).rstrip("\r\n")
    if not text:
        raise AdminError(f"{what} is empty")
    return text


def read(file: Path, what: str, wanted: str = "text (UTF-8)") -> str:
    """Give what a file holds; raises AdminError, which says what was `wanted`."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else f"it is not {wanted}"
        raise AdminError(f"{what} cannot be read from {file}: {why}") from None


def certificates_of(file: Path | None) -> str | None:
    """Give the certificates in a file, if one is given; raises AdminError for an empty one."""
    if file is None:
        return None
    text = read(file, "certificates", f"text (PEM); openssl x509 -inform der -in {file} makes it")
    if not text.strip():
        raise AdminError(f"{file} is empty: it holds no certificates (PEM)")
    return text


def only_one_reads_input(*given: str | None) -> None:
    """Raise AdminError where two texts would be read from standard input."""
    if given.count(_STANDARD_INPUT) > 1:
        raise Misuse("only one of the options can be - : standard input is read once")


def headers_of(given: Sequence[str]) -> Mapping[str, str]:
    """Read headers: K=V, or @FILE with one of these a line; raises AdminError."""
    headers: dict[str, str] = {}
    for line in _lines(given):
        name, equals, value = line.partition("=")
        if not equals or not name:
            raise AdminError(
                "a --header is K=V, or @FILE with such lines; one has no = or no name: write"
                " Authorization=Bearer …, and not Authorization: Bearer …"
            )
        if name.lower() in map(str.lower, headers):
            raise Misuse(f"--header {name} is given twice: say it once")
        headers[name] = value
    return headers


def _lines(given: Sequence[str]) -> Sequence[str]:
    lines: list[str] = []
    for one in given:
        is_file = one.startswith("@")
        lines += read(Path(one[1:]), "headers").splitlines() if is_file else [one]
    return [line for line in lines if line.strip()]
