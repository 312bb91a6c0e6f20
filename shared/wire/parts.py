"""Parts of uploads: a request's body, and what its headers say of it."""

from shared.errors import DigestInvalid
from shared.model.digest import ENCODED_LENGTHS
from shared.services.content.uploads import Part
from shared.wire.ranges import parse_content_range
from shared.wire.request import Call, content_length


def read_part(call: Call) -> Part:
    """Read what a request adds to an upload; raises BlobUploadInvalid or SizeInvalid."""
    start, end = parse_content_range(call.header("content-range"))
    return Part(call.stream(), start, end, content_length(call.request), call.repository)


def digest_algorithm(call: Call) -> str:
    """Read which algorithm the upload is to be hashed with (end-4c); raises DigestInvalid."""
    algorithm = call.query("digest-algorithm") or "sha256"
    if algorithm not in ENCODED_LENGTHS:
        known = " or ".join(ENCODED_LENGTHS)
        raise DigestInvalid(f"digest algorithm {algorithm[:50]!r} is not supported: use {known}")
    return algorithm
