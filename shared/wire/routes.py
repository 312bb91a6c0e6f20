r"""Routes: every template and URL of the registry.

A template is ASP.NET's. A repository's name has slashes, so it is a catch-all with a regular
expression on its end; the expressions exclude each other, since the host takes the first template
that matches, in order of the functions' names. They choose the operation only: names, tags and
digests are read in Python, where a malformed one gets the specification's error. Braces would have
to be doubled; there are none. No template takes a line feed, since the worker's web server does
not: the function would wait for a request that never comes. A catch-all with a constraint takes a
missing value only by its default, the `=`.

Here is also the only list of the methods that a path takes: functions register with it, and what
refuses another method answers out of it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.errors import RegistryError, RouteUnknown, Unsupported
from shared.model.digest import Digest
from shared.model.names import Reference, RepositoryName

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""Every method that the host lets through."""

_READ = ("GET", "HEAD")

_ONE_LINE = r"^(?!.*\n)"

_ENCODED = re.compile("%(2F|3A)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Route:
    """A template for the host, the shape of what its `path` parameter holds, and who takes it.

    `functions` has the methods of each function by the function's name.
    """

    template: str
    shape: re.Pattern[str]
    functions: Mapping[str, Sequence[str]]

    @property
    def methods(self) -> list[str]:
        """Every method that some function takes."""
        return [method for methods in self.functions.values() for method in methods]

    @property
    def others(self) -> list[str]:
        """Every method that no function takes."""
        return [method for method in METHODS if method not in self.methods]

    def read(self, path: str) -> tuple[str, str]:
        """Cut a path into the repository's name and what the route names in it.

        Raises RouteUnknown where literals differ in case.
        """
        found = self.shape.fullmatch(_decoded(path))
        if found is None:
            raise RouteUnknown
        parts = found.groupdict()
        return parts["name"], parts.get("rest", "")


def _decoded(path: str) -> str:
    """Decode what may still be encoded (rule 5); all the rest the host has decoded, once.

    It leaves %2F, and makes %2F of %252F, so that the two are one here; of %25252F it makes %252F,
    which is no part of any name.
    """
    return _ENCODED.sub(lambda found: "/" if found[1].upper() == "2F" else ":", path)


def _under_v2(template: str, shape: str, **functions: Sequence[str]) -> Route:
    full = f"v2/{{*path:regex({_ONE_LINE}{template})}}"
    return Route(full, re.compile(shape), functions)


FALLBACK = f"v2/{{*path:regex({_ONE_LINE})=}}"
ACR_FALLBACK = f"acr/{{*path:regex({_ONE_LINE})=}}"

TOKEN = Route("oauth2/token", re.compile(""), {"token_issue": ("GET", "POST")})
BASE = Route("v2", re.compile(""), {"base_get": _READ})
CATALOG = Route("v2/_catalog", re.compile("_catalog", re.IGNORECASE), {"catalog_list": _READ})
MANIFEST = _under_v2(
    ".+/manifests/[^/]+$",
    "(?P<name>.+)/manifests/(?P<rest>[^/]+)",
    manifest_get=_READ,
    manifest_put=("PUT",),
    manifest_delete=("DELETE",),
)
BLOB = _under_v2(
    ".+/blobs/[^/]+$",
    "(?P<name>.+)/blobs/(?P<rest>[^/]+)",
    blob_get=_READ,
    blob_delete=("DELETE",),
)
UPLOADS = _under_v2(".+/blobs/uploads/?$", "(?P<name>.+)/blobs/uploads/?", upload_start=("POST",))
UPLOAD = _under_v2(
    ".+/blobs/uploads/[^/]+$",
    "(?P<name>.+)/blobs/uploads/(?P<rest>[^/]+)",
    upload_status=_READ,
    upload_append=("PATCH",),
    upload_commit=("PUT",),
    upload_cancel=("DELETE",),
)
TAGS = _under_v2(".+/tags/list$", "(?P<name>.+)/tags/list", tag_list=_READ)
REFERRERS = _under_v2(
    ".+/referrers/[^/]+$", "(?P<name>.+)/referrers/(?P<rest>[^/]+)", referrer_list=_READ
)

UNDER_V2 = (BASE, CATALOG, MANIFEST, BLOB, UPLOADS, UPLOAD, TAGS, REFERRERS)


def methods_of(path: str) -> list[str]:
    """Give the methods that a path below /v2/ takes; none where there is no such path.

    The host looks for a route's own slashes before %2F is one.
    """
    spellings = (path, _decoded(path))
    routes = (route for route in UNDER_V2 if all(map(route.shape.fullmatch, spellings)))
    return [method for route in routes for method in route.methods]


def refusal(methods: Sequence[str]) -> RegistryError:
    """Say why no function takes a request: its path takes these methods, or there is none such."""
    if methods:
        return Unsupported("this method is not supported on this path", allow=methods)
    return RouteUnknown()


def manifest_url(repository: RepositoryName, reference: Reference) -> str:
    """Give the path of a manifest."""
    return f"/v2/{repository}/manifests/{reference}"


def blob_url(repository: RepositoryName, digest: Digest) -> str:
    """Give the path of a blob."""
    return f"/v2/{repository}/blobs/{digest}"


def upload_url(repository: RepositoryName, upload_id: str, token: str) -> str:
    """Give the path of an upload: relative, since SDKs take it so (rule 4)."""
    return f"/v2/{repository}/blobs/uploads/{upload_id}?_nouploadcache=false&_state={token}"


def tags_url(repository: RepositoryName) -> str:
    """Give the path of a repository's list of tags."""
    return f"/v2/{repository}/tags/list"


def referrers_url(repository: RepositoryName, subject: Digest) -> str:
    """Give the path of a subject's list of referrers."""
    return f"/v2/{repository}/referrers/{subject}"
