"""Conditions of requests: preconditions, and what the reference must be.

The ETag of content is its digest. A precondition is read as RFC 9110 (13.1, 13.2.2) says, but that
a digest may come without its quotes. Those on dates are passed over: content here has no date of
modification. None is left to storage, where ETag and date of a blob's object are others.
"""

import re

from shared.errors import ContentChanged, DigestInvalid, TooManyTags
from shared.model.digest import Digest
from shared.model.names import Tag, parse_tag
from shared.services.content.pushes import Condition
from shared.wire import ranges
from shared.wire.request import Call

TAGS = 11
"""How many `tag` parameters one push may have: all move in one transaction.

The specification asks for at least 10.
"""


_TAG = re.compile(r'(?:(W/)?"([^"]*)"|([^\s,"]+))')

_DECIDED_HERE = ("if-match", "if-range", "if-modified-since", "if-unmodified-since")


def is_unchanged(call: Call, digest: Digest) -> bool:
    """Tell whether the client has this content already (`If-None-Match`).

    Raises ContentChanged where it is not the content that `If-Match` names.
    """
    wanted, known = call.header("if-match"), call.header("if-none-match")
    own = {"*", str(digest)}
    if wanted and not _tags(wanted, is_weak_enough=False) & own:
        raise ContentChanged(f"the content's digest is {digest}: If-Match does not name it")
    return bool(_tags(known, is_weak_enough=True) & own)


def asked_part(call: Call, digest: Digest, size: int) -> range | None:
    """Read the part of a blob that is asked for; None where the whole is to be sent.

    So it is where `If-Range` does not name this content. Raises RangeInvalid.
    """
    if call.has("if-range") and call.header("if-range").strip() != f'"{digest}"':
        return None
    return ranges.parse_range(call.header("range"), size)


def may_be_redirected(call: Call) -> bool:
    """Tell a request that storage answers as we do: a client repeats its headers there."""
    if any(call.has(name) for name in _DECIDED_HERE):
        return False
    return not call.has("range") or ranges.is_plain(call.header("range"))


def of_push(call: Call) -> Condition:
    """Read what must hold of a tag before it is pushed (`If-Match`, `If-None-Match: *`)."""
    wanted = call.header("if-match")
    return Condition(
        digests=frozenset(_tags(wanted, is_weak_enough=False)) if wanted else None,
        is_new=call.header("if-none-match").strip() == "*",
    )


def pushed_tags(call: Call) -> tuple[list[Tag], Digest | None]:
    """Read the tags that a push sets, and the digest it must have (end-7a, end-7b).

    Raises TagInvalid, DigestInvalid or TooManyTags.
    """
    reference = call.reference
    if not isinstance(reference, Digest):
        return [reference], None
    texts = call.request.query_params.getlist("tag")
    if len(texts) > TAGS:
        raise TooManyTags(f"one request may set at most {TAGS} tags")
    return [parse_tag(text) for text in dict.fromkeys(texts)], reference


def check_digest(actual: Digest, wanted: Digest | None) -> None:
    """Raise DigestInvalid where content was pushed under a digest that is not its own."""
    if wanted and actual != wanted:
        raise DigestInvalid(f"the manifest's digest is {actual}, not {wanted}")


def _tags(header: str, *, is_weak_enough: bool) -> set[str]:
    """Read tags; a weak one does where other bytes of the same meaning would. `*` is every tag."""
    if header.strip() == "*":
        return {"*"}
    found = (tag for tag in _TAG.finditer(header) if is_weak_enough or not tag[1])
    return {tag[2] or tag[3] or "" for tag in found} - {"", "*"}
