"""The pages of the examples: their commands, their files, and their tables of what is answered."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "infra/examples"

_FENCED = re.compile(r"^ *(?:\d\. )?```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_CREATE = ["python", "-m", "infra.admin", "webhook", "create"]
COLUMNS = "| event | is sent | is answered with | and then |"


@dataclass(frozen=True, slots=True)
class Row:
    """What a page says of one event."""

    event: str
    is_sent: str
    status: int


@dataclass(frozen=True, slots=True)
class Part:
    """A command of a page that makes a webhook, and the table that belongs to it."""

    arguments: list[str]
    rows: list[Row]

    @property
    def name(self) -> str:
        """The webhook's name."""
        return self.arguments[0]


def parts(page: str) -> Mapping[str, Part]:
    """Give what a page makes, by the webhooks' names."""
    text = (EXAMPLES / page / "README.md").read_text()
    commands = [words[len(_CREATE) :] for words in _commands(text) if words[:5] == _CREATE]
    tables = [_rows(table) for table in text.split(COLUMNS)[1:]]
    found = [Part(*each) for each in zip(commands, tables, strict=True)]
    return {part.name: part for part in found}


def _commands(text: str) -> list[list[str]]:
    """Read the page's commands as a shell would, but for what it would run."""
    lines = [
        line
        for block in _FENCED.findall(text)
        for line in block.replace("\\\n", " ").splitlines()
        if line.strip()
    ]
    return [shlex.split(line, comments=True) for line in lines]


def _rows(table: str) -> list[Row]:
    lines = [
        line for line in table.split("\n\n", maxsplit=1)[0].splitlines() if line.startswith("| ")
    ]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [Row(event, is_sent, int(status)) for event, is_sent, status, _ in cells]


def named_files(arguments: list[str]) -> set[str]:
    """Name the files that a command reads."""
    return {word.removeprefix("@") for word in arguments if word.startswith("@")}


def of(page: str, file: str) -> str:
    """Give the text of a file beside a page."""
    return (EXAMPLES / page / file).read_text()
