"""A repository of a name of its own, as a client sees it: plain requests over HTTP."""

import re
import secrets
from collections.abc import Iterable
from typing import Any

import httpx

from tests.conformance.data import DataSet, digest_of
from tests.support.images import Blob

_LINK = re.compile(r'<([^>]+)>; *rel="?next"?')


class Repository:
    """A repository that no other test knows, and what a client does to it."""

    def __init__(self, http: httpx.Client, name: str = "") -> None:
        self.http = http
        self.name = name or f"conformance/{secrets.token_hex(8)}"

    def other(self) -> "Repository":
        """Give another repository of the same registry."""
        return Repository(self.http)

    def path(self, rest: str) -> str:
        """Give the path of something in the repository."""
        return f"/v2/{self.name}/{rest}"

    def ask(self, method: str, rest: str, **more: Any) -> httpx.Response:
        """Send a request to a path in the repository."""
        return self.http.request(method, self.path(rest), **more)

    def start(self, **query: str) -> httpx.Response:
        """Start an upload."""
        return self.ask("POST", "blobs/uploads/", params=query, content=b"")

    def location(self, **query: str) -> str:
        """Start an upload; give where it goes on."""
        return located(self.start(**query), 202)

    def append(
        self, location: str, content: bytes | Iterable[bytes], content_range: str = ""
    ) -> httpx.Response:
        """Send a part of a blob."""
        headers = {"Content-Type": "application/octet-stream"}
        if content_range:
            headers["Content-Range"] = content_range
        return self.http.patch(location, content=content, headers=headers)

    def finish(
        self, location: str, digest: str, content: bytes = b"", content_range: str = ""
    ) -> httpx.Response:
        """Close an upload, with its last part where there is one."""
        headers = {"Content-Type": "application/octet-stream"}
        if content_range:
            headers["Content-Range"] = content_range
        return self.http.put(with_query(location, digest=digest), content=content, headers=headers)

    def push_blob(self, content: bytes, digest: str = "") -> str:
        """Push a blob with a single POST; give its digest."""
        named = digest or digest_of(content, "sha256")
        answer = self.ask("POST", "blobs/uploads/", params={"digest": named}, content=content)
        located(answer, 201)
        return named

    def push_manifest(
        self,
        manifest: Blob,
        reference: str = "",
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> httpx.Response:
        """Push a manifest under its digest, or under another reference."""
        return self.ask(
            "PUT",
            f"manifests/{reference or manifest.digest}",
            params=query,
            content=manifest.content,
            headers={"Content-Type": manifest.media_type, **(headers or {})},
        )

    def push_manifest_of_nothing(self, tag: str) -> str:
        """Push an index of no manifests under a tag; give its digest."""
        manifest = DataSet().index([])
        located(self.push_manifest(manifest, tag), 201)
        return manifest.digest

    def push(self, data: DataSet) -> None:
        """Push a data set: blobs, manifests by digest, tags."""
        for blob in data.blobs:
            self.push_blob(blob.content, blob.digest)
        for manifest in data.manifests:
            located(self.push_manifest(manifest), 201)
        for tag, manifest in data.tags.items():
            located(self.push_manifest(manifest, tag), 201)

    def tags(self, **query: object) -> list[str]:
        """List the tags."""
        return list(answered(self.ask("GET", "tags/list", params=query))["tags"])

    def referrers(self, subject: str, **query: object) -> list[dict[str, Any]]:
        """List the descriptors of a subject's referrers."""
        return list(answered(self.ask("GET", f"referrers/{subject}", params=query))["manifests"])

    def status(self, rest: str, method: str = "HEAD") -> int:
        """Tell with which status a path answers."""
        return self.ask(method, rest).status_code


def located(answer: httpx.Response, status: int) -> str:
    """Give the Location of an answer that must have this status."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
    return answer.headers["Location"]


def answered(answer: httpx.Response) -> Any:
    """Give the JSON of an answer that must be 200."""
    assert answer.status_code == 200, f"{answer.status_code}: {answer.text}"
    return answer.json()


def with_query(location: str, **query: str) -> str:
    """Add parameters to an address that may have some."""
    return str(httpx.URL(location).copy_merge_params(query))


def codes(answer: httpx.Response) -> list[str]:
    """Give the codes of an answer's errors."""
    return [error["code"] for error in answer.json()["errors"]]


def next_page(answer: httpx.Response) -> str | None:
    """Give the address of the page that follows, as RFC 5988 writes it."""
    found = _LINK.fullmatch(answer.headers.get("Link", ""))
    assert found or "Link" not in answer.headers
    return found[1] if found else None
