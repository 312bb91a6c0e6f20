"""Spelling: keys of a manifest that two readers could take for two things.

JSON lets a key stand twice, and Go reads a key whatever its case: `Layers`, and even with the long
s of old prints. What one reader pulls then is not what another one checked. So in the document, and
in its descriptors, a known key stands once and as it is written. What is in annotations is free.
"""

import json
from collections.abc import Sequence

_STRUCTURE = ("config", "layers", "blobs", "manifests", "subject")
_KNOWN = {
    key.casefold(): key
    for key in (
        *_STRUCTURE,
        *("schemaVersion", "mediaType", "artifactType", "annotations"),
        *("digest", "size", "urls", "data", "platform"),
    )
}


class _Ambiguous:
    """Stands for an object with a key that could be read in two ways."""

    def __init__(self, key: str) -> None:
        self.key = key


_PLAIN: dict[str, object] = {}
"""Stands for all objects without structure, so that a million of them take no room."""


def ambiguous_key(document: bytes) -> str:
    """Name a key that stands twice, or in another case than it should; empty if there is none."""
    root = json.loads(
        document.decode(), object_pairs_hook=_reduced, parse_int=_nothing, parse_float=_nothing
    )
    parts = list(root.values()) if isinstance(root, dict) else []
    for part in (root, *parts):
        for each in part if isinstance(part, list) else [part]:
            if isinstance(each, _Ambiguous):
                return each.key
    return ""


def _reduced(pairs: Sequence[tuple[str, object]]) -> object:
    seen: set[str] = set()
    structure: dict[str, object] = {}
    for key, value in pairs:
        folded = key.casefold()
        known = _KNOWN.get(folded)
        if known is None:
            continue
        if folded in seen or key != known:
            return _Ambiguous(key)
        seen.add(folded)
        if key in _STRUCTURE:
            structure[key] = value
    return structure or _PLAIN


def _nothing(_: str) -> None:
    """Take no number for what it is: they are not looked at, and may be of any length."""
