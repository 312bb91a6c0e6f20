r"""Routes: every template and URL of the registry.

A template is ASP.NET's. A repository's name has slashes, so it is a catch-all with a regular
expression on its end; the expressions exclude each other, since the host takes the first template
that matches, in order of the functions' names. They choose the operation only: names, tags and
digests are read in Python, where a malformed one gets the specification's error. Braces would have
to be doubled; there are none.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from shared.errors import RegistryError, RouteUnknown, Unsupported
from shared.model.digest import Digest
from shared.model.names import Reference, RepositoryName


@dataclass(frozen=True, slots=True)
class Route:
    """A template for the host, and the shape of what its `path` parameter holds."""

    template: str
    shape: re.Pattern[str]

    def read(self, path: str) -> tuple[str, str]:
        """Cut a path into the repository's name and what the route names in it.

        Names may come percent-encoded (rule 5). Raises RouteUnknown where literals differ in case.
        """
        found = self.shape.fullmatch(unquote(path))
        if found is None:
            raise RouteUnknown
        parts = found.groupdict()
        return parts["name"], parts.get("rest", "")


def _under_v2(template: str, shape: str) -> Route:
    return Route(f"v2/{{*path:regex({template})}}", re.compile(shape, re.DOTALL))


BASE = "v2"
CATALOG = "v2/_catalog"
FALLBACK = "v2/{*path}"
TOKEN = "oauth2/token"  # noqa: S105 - a path

MANIFEST = _under_v2("^.+/manifests/[^/]+$", "(?P<name>.+)/manifests/(?P<rest>[^/]+)")
BLOB = _under_v2("^.+/blobs/[^/]+$", "(?P<name>.+)/blobs/(?P<rest>[^/]+)")
UPLOADS = _under_v2("^.+/blobs/uploads/?$", "(?P<name>.+)/blobs/uploads/?")
UPLOAD = _under_v2("^.+/blobs/uploads/[^/]+$", "(?P<name>.+)/blobs/uploads/(?P<rest>[^/]+)")
TAGS = _under_v2("^.+/tags/list$", "(?P<name>.+)/tags/list")
REFERRERS = _under_v2("^.+/referrers/[^/]+$", "(?P<name>.+)/referrers/(?P<rest>[^/]+)")


_KNOWN = (MANIFEST, BLOB, UPLOADS, UPLOAD, TAGS, REFERRERS)


def refusal(path: str) -> RegistryError:
    """Say why no function took a path below /v2/: no such operation on it, or no such path."""
    if path == "_catalog" or any(route.shape.fullmatch(unquote(path)) for route in _KNOWN):
        return Unsupported("this method is not supported on this path")
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
    """Give the path of a repository's list of tags, as links to its next page show it."""
    return f"/v2/{quote(repository, safe='')}/tags/list"


def referrers_url(repository: RepositoryName, subject: Digest) -> str:
    """Give the path of a subject's list of referrers, as links to its next page show it."""
    return f"/v2/{quote(repository, safe='')}/referrers/{quote(str(subject), safe='')}"
