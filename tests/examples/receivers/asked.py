"""What a model reads of a request, and what it answers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from shared.model.outbound.posting import Posting


@dataclass(frozen=True, slots=True)
class Answer:
    """The status, and what was set going: image names, jobs, apps."""

    status: int
    did: tuple[str, ...] = ()


class Asked:
    """A request as servers read it: header names in any case, the query apart from the path."""

    def __init__(self, posting: Posting) -> None:
        parts = urlsplit(posting.url)
        self.path = parts.path
        self.target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        self.query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.headers: Mapping[str, str] = {
            name.lower(): value for name, value in posting.headers.items()
        }
        self.body = posting.body

    @property
    def content_type(self) -> str:
        """The media type alone, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def header(self, name: str) -> str:
        return self.headers.get(name.lower(), "")

    def json(self) -> dict[str, Any] | None:
        """The body's object; None for what is none."""
        try:
            read = json.loads(self.body)
        except ValueError:
            return None
        return read if isinstance(read, dict) else None


def at(document: Mapping[str, Any] | None, path: str) -> str:
    """Give the text at a dotted path, as a decoder of structs does: empty where there is none."""
    found: Any = document
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else ""
