"""Conditions of requests on manifests: preconditions, and what the reference must be."""

from shared.errors import DigestInvalid, TooManyTags
from shared.model.digest import Digest
from shared.model.names import Tag, parse_tag
from shared.services.content.pushes import Condition
from shared.wire.request import Call

TAGS = 11
"""How many `tag` parameters one push may have: all move in one transaction.

The specification asks for at least 10.
"""


def is_unchanged(call: Call, digest: Digest) -> bool:
    """Tell whether the client has this content already (`If-None-Match`)."""
    known = _etags(call.header("if-none-match"))
    return str(digest) in known or "*" in known


def of_push(call: Call) -> Condition:
    """Read what must hold of a tag before it is pushed (`If-Match`, `If-None-Match: *`)."""
    wanted = call.header("if-match")
    return Condition(
        digests=frozenset(_etags(wanted)) if wanted else None,
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


def _etags(header: str) -> set[str]:
    tags = (tag.strip().removeprefix("W/").strip('"') for tag in header.split(","))
    return {tag for tag in tags if tag}
