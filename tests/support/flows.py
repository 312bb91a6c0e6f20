"""Push and pull over plain HTTP, step by step as the specification names them."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from tests.support.hosts import Registry
from tests.support.images import DOCKER, OCI, Blob, Image, Index, blob

ACCEPT = f"{OCI.manifest}, {OCI.index}, {DOCKER.manifest}, {DOCKER.index}"
CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull of one manifest brought."""

    manifest: Blob
    blobs: dict[str, bytes]


def authorization(registry: Registry, scope: str) -> str:
    """Get what the registry's challenge asks for: a token for the scope, or the password itself."""
    challenge = httpx.get(f"{registry.url}/v2/").headers.get("WWW-Authenticate", "")
    password = httpx.BasicAuth(registry.user, registry.password)
    if not challenge.startswith("Bearer "):
        asked = next(password.auth_flow(httpx.Request("GET", registry.url)))
        return str(asked.headers["Authorization"])
    fields = dict(CHALLENGE.findall(challenge))
    query = {"service": fields["service"], "scope": scope}
    answer = httpx.get(fields["realm"], params=query, auth=password).raise_for_status()
    return f"Bearer {answer.json()['access_token']}"


@contextmanager
def connect(
    registry: Registry, repository: str, actions: str = "pull,push"
) -> Iterator[httpx.Client]:
    """Open a connection that may do the actions in the repository."""
    header = authorization(registry, f"repository:{repository}:{actions}")
    with httpx.Client(
        base_url=registry.url, headers={"Authorization": header}, timeout=60
    ) as client:
        yield client


def start_upload(client: httpx.Client, repository: str) -> str:
    """Open an upload and give its location."""
    answer = client.post(f"/v2/{repository}/blobs/uploads/")
    assert answer.status_code == 202, answer.text
    return answer.headers["Location"]


def send_piece(client: httpx.Client, location: str, piece: bytes, start: int) -> str:
    """Append a piece to an upload and give the next location."""
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Range": f"{start}-{start + len(piece) - 1}",
    }
    answer = client.patch(location, content=piece, headers=headers)
    assert answer.status_code == 202, answer.text
    assert answer.headers["Range"] == f"0-{start + len(piece) - 1}"
    return answer.headers["Location"]


def finish_upload(client: httpx.Client, location: str, digest: str) -> httpx.Response:
    """Close an upload under a digest."""
    return client.put(httpx.URL(location).copy_merge_params({"digest": digest}))


def push_blob(client: httpx.Client, repository: str, content: Blob) -> None:
    """Upload a blob in one piece."""
    location = start_upload(client, repository)
    location = send_piece(client, location, content.content, 0) if content.size else location
    answer = finish_upload(client, location, content.digest)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Docker-Content-Digest"] == content.digest


def push_manifest(
    client: httpx.Client, repository: str, manifest: Blob, reference: str
) -> httpx.Response:
    """Put a manifest under a tag or its digest."""
    return client.put(
        f"/v2/{repository}/manifests/{reference}",
        content=manifest.content,
        headers={"Content-Type": manifest.media_type},
    )


def push_into(client: httpx.Client, repository: str, root: Image | Index, reference: str) -> None:
    """Push an image, or an index after the images it lists."""
    if isinstance(root, Index):
        for each in root.images:
            push_into(client, repository, each, each.digest)
    else:
        for each_blob in root.blobs:
            push_blob(client, repository, each_blob)
    answer = push_manifest(client, repository, root.manifest, reference)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Docker-Content-Digest"] == root.digest


def push(registry: Registry, repository: str, root: Image | Index, reference: str) -> None:
    """Push with a connection of its own."""
    with connect(registry, repository) as client:
        push_into(client, repository, root, reference)


def resolve(registry: Registry, repository: str, reference: str) -> str:
    """Ask which digest a tag points to."""
    with connect(registry, repository, "pull") as client:
        answer = client.head(f"/v2/{repository}/manifests/{reference}", headers={"Accept": ACCEPT})
        assert answer.status_code == 200, answer.status_code
        return answer.headers["Docker-Content-Digest"]


def pull_manifest(client: httpx.Client, repository: str, reference: str) -> Blob:
    """Get a manifest, as the registry names it."""
    answer = client.get(f"/v2/{repository}/manifests/{reference}", headers={"Accept": ACCEPT})
    assert answer.status_code == 200, answer.text
    manifest = blob(answer.content, answer.headers["Content-Type"])
    assert answer.headers["Docker-Content-Digest"] == manifest.digest
    return manifest


def pull_blob(client: httpx.Client, repository: str, digest: str) -> bytes:
    """Get a blob, wherever the registry sends us."""
    answer = client.get(f"/v2/{repository}/blobs/{digest}", follow_redirects=True)
    assert answer.status_code == 200, answer.text
    assert blob(answer.content).digest == digest
    return answer.content


def pull(registry: Registry, repository: str, reference: str) -> Pulled:
    """Pull an image: its manifest and whatever the manifest has the registry hold."""
    with connect(registry, repository, "pull") as client:
        manifest = pull_manifest(client, repository, reference)
        fields = json.loads(manifest.content)
        parts = [part for part in (fields["config"], *fields["layers"]) if "urls" not in part]
        digests = dict.fromkeys(part["digest"] for part in parts)
        return Pulled(manifest, {each: pull_blob(client, repository, each) for each in digests})


def pulled(image: Image) -> Pulled:
    """Say what a pull of the image has to bring."""
    return Pulled(image.manifest, {each.digest: each.content for each in image.blobs})
