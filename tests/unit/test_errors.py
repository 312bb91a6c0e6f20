"""Every error as a row: its code, its status, and what its name has to do with the code."""

import re

import pytest

from shared import errors
from shared.errors import (
    ManifestBlobUnknown,
    RangeInvalid,
    RegistryError,
    TooManyRequests,
    Unavailable,
    Unsupported,
)

OWN_NAMES = {
    "ContentChanged": "DIGEST_INVALID",
    "HostInvalid": "UNSUPPORTED",
    "ManifestTooLarge": "SIZE_INVALID",
    "NotYetSupported": "UNSUPPORTED",
    "PreconditionFailed": "MANIFEST_INVALID",
    "RouteUnknown": "UNSUPPORTED",
    "TooManyRequests": "TOOMANYREQUESTS",
    "TooManyTags": "TAG_INVALID",
}
"""Errors that share the code of another: the specification has none for them."""

TABLE = {
    "BlobUnknown": ("BLOB_UNKNOWN", 404),
    "BlobUploadInvalid": ("BLOB_UPLOAD_INVALID", 400),
    "BlobUploadUnknown": ("BLOB_UPLOAD_UNKNOWN", 404),
    "ContentChanged": ("DIGEST_INVALID", 412),
    "Denied": ("DENIED", 403),
    "DigestInvalid": ("DIGEST_INVALID", 400),
    "HostInvalid": ("UNSUPPORTED", 400),
    "ManifestBlobUnknown": ("MANIFEST_BLOB_UNKNOWN", 404),
    "ManifestInvalid": ("MANIFEST_INVALID", 400),
    "ManifestTooLarge": ("SIZE_INVALID", 413),
    "ManifestUnknown": ("MANIFEST_UNKNOWN", 404),
    "NameInvalid": ("NAME_INVALID", 400),
    "NameUnknown": ("NAME_UNKNOWN", 404),
    "NotYetSupported": ("UNSUPPORTED", 501),
    "PaginationNumberInvalid": ("PAGINATION_NUMBER_INVALID", 400),
    "PreconditionFailed": ("MANIFEST_INVALID", 412),
    "RangeInvalid": ("RANGE_INVALID", 416),
    "RouteUnknown": ("UNSUPPORTED", 404),
    "RegistryDisallowedOperation": ("REGISTRY_DISALLOWED_OPERATION", 405),
    "SizeInvalid": ("SIZE_INVALID", 400),
    "TagInvalid": ("TAG_INVALID", 400),
    "TooManyRequests": ("TOOMANYREQUESTS", 429),
    "TooManyTags": ("TAG_INVALID", 414),
    "Unauthorized": ("UNAUTHORIZED", 401),
    "Unavailable": ("UNAVAILABLE", 503),
    "Unknown": ("UNKNOWN", 500),
    "Unsupported": ("UNSUPPORTED", 405),
}


def descendants(cls: type[RegistryError]) -> set[type[RegistryError]]:
    direct = set(cls.__subclasses__())
    return direct.union(*(descendants(each) for each in direct))


CLASSES = sorted(
    (cls for cls in descendants(RegistryError) if not cls.__name__.startswith("_")),
    key=lambda cls: cls.__name__,
)


def made(cls: type[RegistryError]) -> RegistryError:
    if cls is Unsupported:
        return Unsupported(allow=["GET"])
    return cls(["sha256:0"]) if cls is ManifestBlobUnknown else cls()


def test_every_error_has_a_row_and_every_row_an_error() -> None:
    assert {cls.__name__: (cls.code, cls.status) for cls in CLASSES} == TABLE


@pytest.mark.parametrize("cls", CLASSES)
def test_a_name_matches_its_code(cls: type[RegistryError]) -> None:
    in_capitals = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).upper()
    assert cls.code == OWN_NAMES.get(cls.__name__, in_capitals)


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_says_what_happened(cls: type[RegistryError]) -> None:
    assert cls.__doc__
    assert cls.message == cls.message.strip()
    assert not cls.message.endswith(".")
    entry = made(cls).entries()[0]
    assert (entry["code"], entry["message"]) == (cls.code, cls.message)


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_is_drawn_in_the_tree(cls: type[RegistryError]) -> None:
    tree = errors.__doc__ or ""
    place = re.search(rf"\b{cls.__name__}\b(?: \((\d+)\))?", tree)
    assert place
    branch = re.findall(r"─ (\d+) ", tree[: place.start()])[-1]
    assert str(cls.status) == (place[1] or branch)


def test_an_own_message_takes_the_place_of_the_usual_one() -> None:
    error = errors.TagInvalid("so", detail={"a": 1}, headers={"X": "y"})
    assert error.entries() == [{"code": "TAG_INVALID", "message": "so", "detail": {"a": 1}}]
    assert error.headers == {"X": "y"}


def test_a_detail_that_is_not_there_is_left_out() -> None:
    assert set(errors.TagInvalid().entries()[0]) == {"code", "message"}


def test_each_missing_digest_has_an_entry() -> None:
    entries = ManifestBlobUnknown(["sha256:1", "sha256:2"]).entries()
    assert [entry["detail"] for entry in entries] == [
        {"digest": "sha256:1"},
        {"digest": "sha256:2"},
    ]


def test_a_range_says_where_the_upload_is_or_how_long_the_blob() -> None:
    error = RangeInvalid("so", offset=3, size=7)
    assert (str(error), error.offset, error.size) == ("so", 3, 7)


@pytest.mark.parametrize("cls", [TooManyRequests, Unavailable])
def test_who_is_to_wait_is_told_how_long(cls: type[TooManyRequests]) -> None:
    assert cls(seconds=7).headers == {"Retry-After": "7"}
