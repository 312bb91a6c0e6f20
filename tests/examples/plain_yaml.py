"""The part of YAML that the examples are written in: no library of ours reads YAML.

Mappings and lists by indentation, lists of one line, plain and quoted scalars, comments of their
own line, and several documents. What is not of that part fails.
"""

import json
from typing import Any

type Line = tuple[int, str]


def documents(text: str) -> list[Any]:
    """Read all documents of a file."""
    return [_document(part) for part in f"\n{text}".split("\n---\n") if part.strip()]


def document(text: str) -> Any:
    """Read a file that holds one document."""
    (only,) = documents(text)
    return only


def _document(text: str) -> Any:
    lines = [
        (len(line) - len(line.lstrip(" ")), line.strip())
        for line in text.splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    value, rest = _block(lines)
    assert not rest, f"unexpected: {rest[0]}"
    return value


def _block(lines: list[Line]) -> tuple[Any, list[Line]]:
    """Read what begins with the first line, and all that is as far to the right."""
    indent, text = lines[0]
    return _list(lines, indent) if text.startswith("- ") else _mapping(lines, indent)


def _list(lines: list[Line], indent: int) -> tuple[list[Any], list[Line]]:
    items = []
    while lines and lines[0][0] == indent and lines[0][1].startswith("- "):
        text = lines[0][1].removeprefix("- ").strip()
        if _key(text):
            item, lines = _mapping([(indent + 2, text), *lines[1:]], indent + 2)
        else:
            item, lines = _scalar(text), lines[1:]
        items.append(item)
    return items, lines


def _mapping(lines: list[Line], indent: int) -> tuple[dict[str, Any], list[Line]]:
    found: dict[str, Any] = {}
    while lines and lines[0][0] == indent and not lines[0][1].startswith("- "):
        key, text = _key(lines[0][1]), lines[0][1].partition(":")[2].strip()
        assert key, f"no key: {lines[0][1]}"
        assert key not in found, f"twice: {key}"
        lines = lines[1:]
        is_deeper = lines and (
            lines[0][0] > indent or (lines[0][0] == indent and lines[0][1].startswith("- "))
        )
        if text or not is_deeper:
            found[key] = _scalar(text)
        else:
            found[key], lines = _block(lines)
    return found, lines


def _key(text: str) -> str:
    """Give the key that a line begins with, or nothing."""
    key, colon, rest = text.partition(":")
    is_one = colon and (not rest or rest.startswith(" ")) and not key.startswith(('"', "'", "["))
    return key if is_one and " " not in key else ""


def _scalar(text: str) -> Any:
    if text.startswith("["):
        inside = text.removeprefix("[").removesuffix("]")
        return [_scalar(each.strip()) for each in inside.split(",")]
    if text.startswith('"'):
        return json.loads(text)
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    assert not text.startswith(("&", "*", "!", "|", ">", "{", "%", "@", "`")), f"not plain: {text}"
    assert not {": ", " #"} & {text[i : i + 2] for i in range(len(text))}, f"not plain: {text}"
    return {"true": True, "false": False, "": None}.get(text, text)
