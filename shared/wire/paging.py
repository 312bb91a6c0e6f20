"""Lists: `n`, `last` and the filter of a request for one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlencode

from starlette.requests import Request

from shared.errors import PaginationNumberInvalid
from shared.model.manifests.manifest import ARTIFACT_TYPE_LENGTH
from shared.model.page import Page

MOST = 1_000
"""Items of the longest page; a page without `n` has as many."""

_DIGITS = 18
_LAST_LENGTH = 512
_TYPE_LENGTH = ARTIFACT_TYPE_LENGTH + 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """The page that is asked for: up to `n` items that follow `last`."""

    n: int
    last: str

    @classmethod
    def read(cls, request: Request, most: int = MOST) -> Self:
        """Read the parameters, with `n` brought down to `most`; raises PaginationNumberInvalid."""
        text = request.query_params.get("n", "") or str(most)
        if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
            raise PaginationNumberInvalid(f"n={text[:50]!r} must be a whole number of 0 or more")
        last = request.query_params.get("last", "")[:_LAST_LENGTH]
        return cls(min(int(text), most), _plain(last))

    def following(self, path: str, page: Page[Any], extra: Mapping[str, str] | None = None) -> str:
        """Give the relative URL of the page after this one, or nothing after the last.

        Every pair of its query has its `=` (rule 11).
        """
        if not page.has_more:
            return ""
        query = {"last": page.last, "n": self.n, "orderby": "", **(extra or {})}
        return f"{path}?{urlencode(query)}"


def _plain(last: str) -> str:
    """Give the text of visible ASCII that the same names follow: none has any other character.

    What storage says to control characters is not promised, and it sorts some others in its own
    way.
    """
    for place, character in enumerate(last):
        if not "!" <= character <= "~":
            return last[:place] + "~" * (character > "~")
    return last


def artifact_type(request: Request) -> str:
    """Read the filter of a list of referrers; empty where there is none.

    A media type has no blank: what reads as one is a plus that was not percent-encoded. One that is
    too long to be a referrer's is cut, and still too long.
    """
    return request.query_params.get("artifactType", "").replace(" ", "+")[:_TYPE_LENGTH]
