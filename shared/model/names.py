"""Names: repositories, tags and references, parsed once where they come in."""

import re
from typing import NewType

from shared.errors import NameInvalid, TagInvalid
from shared.model.digest import Digest

RepositoryName = NewType("RepositoryName", str)
"""A repository's full name, such as `warrantydept/customersubmissions/web`."""

Tag = NewType("Tag", str)

type Reference = Tag | Digest

NAME_LENGTH = 256
"""Characters of the longest repository name, slashes included (ACR 1.1)."""

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
_REFERRERS_TAG = re.compile(r"sha(?:256|512)-[0-9a-f]{64}", re.ASCII)
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", re.ASCII)


def parse_repository(text: str) -> RepositoryName:
    """Read a repository's name; raises NameInvalid."""
    if len(text) > NAME_LENGTH or not _NAME.fullmatch(text):
        raise NameInvalid(
            f"{text[:NAME_LENGTH]!r} is not a repository name: lower-case letters and digits,"
            f" joined by . _ __ - or /, at most {NAME_LENGTH} characters"
        )
    return RepositoryName(text)


def parse_tag(text: str) -> Tag:
    """Read a tag; raises TagInvalid."""
    if not _TAG.fullmatch(text):
        raise TagInvalid(
            f"{text[:200]!r} is not a tag: up to 128 letters, digits, _ . -, the first not . or -"
        )
    return Tag(text)


def is_referrers_tag(tag: Tag) -> bool:
    """Tell a tag under which clients that do not know the referrers API keep a list of their own.

    Distribution specification, referrers tag schema: the subject's digest, cut to 64 digits.
    """
    return _REFERRERS_TAG.fullmatch(tag) is not None


def referrers_tag(subject: Digest) -> Tag:
    """Name the tag of `is_referrers_tag` for a subject."""
    return Tag(f"{subject.algorithm}-{subject.encoded[:64]}")


def parse_reference(text: str) -> Reference:
    """Read a tag or a digest; raises TagInvalid or DigestInvalid."""
    return Digest.parse(text) if ":" in text else parse_tag(text)
