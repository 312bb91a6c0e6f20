"""What commands say: a document for programs or tables for people, and progress on long work.

With `-o json` standard output holds one document and nothing else; all that is said besides,
progress and errors, goes to standard error. A document is written when it is whole, so a command
that fails has written none.
"""

import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import IO, Any

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

_ROWS_A_TABLE = 1_000
_WIDE = 10_000
_SPOOLED_BYTES = 8 * 1024 * 1024
_OBEYED = re.compile("[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


class Output(StrEnum):
    """The two ways to say it."""

    TABLE = "table"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command did or found: `document` says all of it, `shown` what people want to read.

    The document is a mapping, a dataclass or a sequence of such; what is shown are lines and what
    `table` gives. Where not all was done that was asked for, it says so, and the command ends with
    1 all the same.
    """

    document: object
    shown: Sequence[str | Table]
    is_done: bool = True


@dataclass(frozen=True, slots=True)
class Listing:
    """Rows without end: dataclasses of one `kind`, whose fields are the columns.

    They are taken one by one, and few are held; `empty` is what people read where there is none.
    People see the columns `shown`, or all.
    """

    kind: type
    rows: AsyncIterator[Any]
    empty: str
    shown: Sequence[str] = ()


def said(sentence: str, **values: object) -> Answer:
    """Give an answer of one sentence; programs get the values, too."""
    return Answer({"message": sentence, **values}, [sentence])


def table(kind: type, rows: Sequence[Any], title: str = "", *, only: Sequence[str] = ()) -> Table:
    """Make a table of rows, dataclasses of one kind; of all fields, or of some."""
    shown = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    names = only or [field.name for field in fields(kind)]
    for name in names:
        shown.add_column(name.replace("_", " ").upper(), no_wrap=True)
    for row in rows:
        shown.add_row(*(Text(cell(getattr(row, name))) for name in names))
    return shown


def cell(value: object) -> str:
    """Write a value for people; what a terminal would obey is written out."""
    match value:
        case None | "":
            return "-"
        case list() | tuple():
            return ", ".join(map(cell, value)) or "-"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case timedelta():
            return str(timedelta(seconds=round(value.total_seconds())))
    text = str(value)
    return _line(text)


def _line(text: str) -> str:
    return text if text.isprintable() else ascii(text)[1:-1]


async def show(answer: Answer | Listing, output: Output) -> None:
    """Write what a command gives to standard output."""
    if isinstance(answer, Listing):
        await (_write_array if output is Output.JSON else _write_tables)(answer)
    elif output is Output.JSON:
        _out(document(answer.document, orjson.OPT_INDENT_2))
    else:
        console = _console(sys.stdout)
        for part in answer.shown:
            if isinstance(part, Table):
                console.print(part)
            else:
                print("\n".join(map(_line, part.split("\n"))))


def document(value: object, options: int = 0) -> bytes:
    """Write a value as JSON: digests and the like as text, spans of time in seconds."""
    options |= orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
    return _written_out(orjson.dumps(value, default=_plain, option=options))


def _written_out(data: bytes) -> bytes:
    """Escape what a terminal would obey and JSON allows; it stands in strings alone."""
    text = data.decode()
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator["Steps"]:
    """Show on a terminal how far some long work has come; elsewhere nothing.

    It is shown on standard error, so also beside a document.
    """
    console = Console(file=sys.stderr)
    said = TextColumn("{task.description}", markup=False)
    done = [BarColumn(), MofNCompleteColumn()] if total else [TextColumn("{task.completed}")]
    with Progress(
        SpinnerColumn(),
        said,
        *done,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as shown:
        yield Steps(shown, what, total)


class Steps:
    """How far some work has come."""

    def __init__(self, shown: Progress, what: str, total: int | None) -> None:
        self._shown = shown
        self._task = shown.add_task(what, total=total)

    def advance(self, count: int = 1) -> None:
        """Tell that so much more is done."""
        self._shown.advance(self._task, count)

    def say(self, what: str) -> None:
        """Tell what is done now."""
        self._shown.update(self._task, description=cell(what))


async def _batches(listing: Listing) -> AsyncIterator[Sequence[Any]]:
    batch: list[Any] = []
    async for row in listing.rows:
        batch.append(row)
        if len(batch) == _ROWS_A_TABLE:
            yield batch
            batch = []
    if batch:
        yield batch


async def _write_tables(listing: Listing) -> None:
    console = _console(sys.stdout)
    is_empty = True
    async for batch in _batches(listing):
        is_empty = False
        console.print(table(listing.kind, batch, only=listing.shown))
    if is_empty:
        print(listing.empty)


async def _write_array(listing: Listing) -> None:
    with tempfile.SpooledTemporaryFile(_SPOOLED_BYTES) as whole:
        before = b"[\n"
        async for row in listing.rows:
            whole.write(before + document(row))
            before = b",\n"
        whole.write(b"\n]" if before == b",\n" else b"[]")
        whole.seek(0)
        _copy(whole)


def _copy(whole: IO[bytes]) -> None:
    sys.stdout.flush()
    shutil.copyfileobj(whole, sys.stdout.buffer)
    _out(b"")


def _out(data: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(data + b"\n")
    sys.stdout.buffer.flush()


def _console(file: IO[str]) -> Console:
    """Write a row as a line, however narrow the terminal: what is in it is to be copied."""
    return Console(file=file, width=_WIDE, markup=False, highlight=False, emoji=False)


def _plain(value: object) -> object:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    if is_dataclass(value) and type(value).__str__ is object.__str__:
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return str(value)
