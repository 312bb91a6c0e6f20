"""Errors as clients see them: one class for each code of the specification or of ACR.

    RegistryError
    ├─ 400  BlobUploadInvalid  DigestInvalid  HostInvalid  ManifestInvalid  NameInvalid
    │       PaginationNumberInvalid  SizeInvalid  TagInvalid
    ├─ 401  Unauthorized
    ├─ 403  Denied
    ├─ 404  BlobUnknown  BlobUploadUnknown  ManifestBlobUnknown  ManifestUnknown  NameUnknown
    │       RouteUnknown
    ├─ 405  Unsupported  RegistryDisallowedOperation
    ├─ 412  ContentChanged  PreconditionFailed
    ├─ 413  ManifestTooLarge
    ├─ 414  TooManyTags
    ├─ 416  RangeInvalid
    ├─ 429  TooManyRequests
    └─ 500  Unknown  NotYetSupported (501)  Unavailable (503)

A message says what happened, to what, and what to do about it.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

type Detail = Mapping[str, object] | Sequence[object] | str | None


class RegistryError(Exception):
    """An answer other than the one asked for. `headers` go out with it."""

    code: ClassVar[str]
    status: ClassVar[int]
    message: ClassVar[str]

    def __init__(
        self,
        message: str | None = None,
        *,
        detail: Detail = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message or self.message)
        self.detail = detail
        self.headers = dict(headers or {})

    def entries(self) -> list[dict[str, object]]:
        """Give what stands under `errors` in the envelope."""
        entry: dict[str, object] = {"code": self.code, "message": str(self)}
        if self.detail is not None:
            entry["detail"] = self.detail
        return [entry]


class BlobUploadInvalid(RegistryError):
    """The upload cannot be continued as asked (code-2)."""

    code, status, message = "BLOB_UPLOAD_INVALID", 400, "blob upload invalid"


class DigestInvalid(RegistryError):
    """The digest is malformed, or is not that of the content (code-4)."""

    code, status, message = (
        "DIGEST_INVALID",
        400,
        "provided digest did not match uploaded content",
    )


class HostInvalid(RegistryError):
    """The request does not say which login server it asks (RFC 9112, 3.2)."""

    code, status, message = (
        "UNSUPPORTED",
        400,
        "the Host header must be a host, and a port if it is not the usual one",
    )


class ManifestInvalid(RegistryError):
    """The manifest cannot be understood (code-6)."""

    code, status, message = "MANIFEST_INVALID", 400, "manifest invalid"


class NameInvalid(RegistryError):
    """The repository's name breaks the grammar (code-8)."""

    code, status, message = "NAME_INVALID", 400, "invalid repository name"


class PaginationNumberInvalid(RegistryError):
    """The query parameter `n` is not a number of items."""

    code, status, message = (
        "PAGINATION_NUMBER_INVALID",
        400,
        "n must be a whole number of 0 or more",
    )


class SizeInvalid(RegistryError):
    """The length announced is not the length received (code-10)."""

    code, status, message = "SIZE_INVALID", 400, "provided length did not match content length"


class TagInvalid(RegistryError):
    """The tag breaks the grammar."""

    code, status, message = "TAG_INVALID", 400, "invalid tag"


class Unauthorized(RegistryError):
    """The caller must log in, or may not do this (code-11; ACR answers 401 for both, rule 3)."""

    code, status, message = (
        "UNAUTHORIZED",
        401,
        "authentication required: log in with docker login",
    )


class Denied(RegistryError):
    """The registry is closed to this caller (code-12)."""

    code, status, message = "DENIED", 403, "requested access to the resource is denied"


class BlobUnknown(RegistryError):
    """The repository does not hold the blob (code-1)."""

    code, status, message = "BLOB_UNKNOWN", 404, "blob unknown to registry"


class BlobUploadUnknown(RegistryError):
    """There is no such upload, or not for this caller, or no longer (code-3)."""

    code, status, message = (
        "BLOB_UPLOAD_UNKNOWN",
        404,
        "blob upload unknown to registry: expired, cancelled or another's; start a new one",
    )


class ManifestBlobUnknown(RegistryError):
    """The manifest refers to content that the repository does not hold (code-5).

    One entry for each missing digest.
    """

    code, status, message = (
        "MANIFEST_BLOB_UNKNOWN",
        404,
        "manifest references a manifest or blob unknown to registry: push it first",
    )

    def __init__(self, digests: Sequence[str]) -> None:
        super().__init__()
        self.digests = list(digests)

    def entries(self) -> list[dict[str, object]]:
        """Give one entry for each missing digest."""
        return [
            {"code": self.code, "message": str(self), "detail": {"digest": digest}}
            for digest in self.digests
        ]


class ManifestUnknown(RegistryError):
    """The repository has no manifest under this reference (code-7)."""

    code, status, message = "MANIFEST_UNKNOWN", 404, "manifest unknown to registry"


class NameUnknown(RegistryError):
    """There is no such repository, or no such registry (code-9)."""

    code, status, message = "NAME_UNKNOWN", 404, "repository name not known to registry"


class RouteUnknown(RegistryError):
    """The path is none of the registry's."""

    code, status, message = "UNSUPPORTED", 404, "the registry has no such path"


class Unsupported(RegistryError):
    """The path exists, the operation on it does not (code-13).

    `allow` names the methods that the path takes (RFC 9110, 15.5.6).
    """

    code, status, message = "UNSUPPORTED", 405, "the operation is unsupported"

    def __init__(self, message: str | None = None, *, allow: Sequence[str]) -> None:
        super().__init__(message, headers={"Allow": ", ".join(allow)})


class RegistryDisallowedOperation(Unsupported):
    """A lock or a policy forbids it, whoever asks (ACR 1.7)."""

    code, status, message = (
        "REGISTRY_DISALLOWED_OPERATION",
        405,
        "the operation is disallowed on this registry, repository or image",
    )

    def __init__(
        self, message: str | None = None, *, allow: Sequence[str] = ("GET", "HEAD")
    ) -> None:
        super().__init__(message, allow=allow)
        self.detail = {}


class NotYetSupported(RegistryError):
    """A part of Azure's own API that this registry does not have yet."""

    code, status, message = (
        "UNSUPPORTED",
        501,
        "this registry does not support Azure's own API yet: use the paths under /v2/",
    )


class PreconditionFailed(RegistryError):
    """If-Match or If-None-Match of a push did not hold (RFC 9110, 13.1)."""

    code, status, message = (
        "MANIFEST_INVALID",
        412,
        "the condition of the request does not hold: the tag has changed meanwhile; read it again",
    )


class ContentChanged(RegistryError):
    """What is to be read is not what If-Match names (RFC 9110, 13.1.1)."""

    code, status, message = "DIGEST_INVALID", 412, "the content is not what If-Match names"


class ManifestTooLarge(RegistryError):
    """The manifest is larger than the registry accepts."""

    code, status, message = "SIZE_INVALID", 413, "manifest too large"


class TooManyTags(RegistryError):
    """More tags in one request than the registry accepts."""

    code, status, message = "TAG_INVALID", 414, "too many tags in one request"


class RangeInvalid(RegistryError):
    """The part does not continue the upload, or the range lies outside of the blob (ACR 1.10).

    `offset` is where the upload is, `size` how long the blob is, in bytes, where that is known.
    """

    code, status, message = "RANGE_INVALID", 416, "the range cannot be satisfied"

    def __init__(
        self, message: str | None = None, *, offset: int | None = None, size: int | None = None
    ) -> None:
        super().__init__(message)
        self.offset = offset
        self.size = size


class _Busy(RegistryError):
    """The same request may succeed after `seconds`."""

    def __init__(self, message: str | None = None, *, seconds: int = 1) -> None:
        super().__init__(message, headers={"Retry-After": str(seconds)})


class TooManyRequests(_Busy):
    """The caller is to wait (code-14)."""

    code, status, message = "TOOMANYREQUESTS", 429, "too many requests: wait and repeat"


class Unknown(RegistryError):
    """A fault of ours."""

    code, status, message = "UNKNOWN", 500, "the registry failed: report the correlation id"


class Unavailable(_Busy):
    """Storage does not answer; the request may be repeated."""

    code, status, message = (
        "UNAVAILABLE",
        503,
        "the registry's storage is busy, or fails (its log says why): repeat the request",
    )
