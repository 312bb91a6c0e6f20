"""The wire: paths however they are written, answers to deletes, challenges."""

import secrets
from urllib.parse import quote

import httpx
import pytest

from tests.conformance.data import UNKNOWN, image
from tests.conformance.repository import Repository
from tests.conformance.requirements import shows
from tests.support.hosts import Registry
from tests.support.ways import Way

pytestmark = pytest.mark.parametrize("way", [Way.BEARER_CACHED], indirect=True)


@shows("rfc-10")
def test_percent_encoded_paths_name_the_same(repository: Repository) -> None:
    data = image()
    repository.push(data)
    manifest, blob = data.manifests[0], data.blobs[0]
    name = quote(repository.name, safe="")
    paths = {
        f"/v2/{name}/manifests/{quote(manifest.digest, safe='')}": manifest.content,
        f"/v2/{repository.name}/manifests/im%61ge": manifest.content,
        f"/v2/{name}/blobs/{quote(blob.digest, safe='')}": blob.content,
    }
    for path, content in paths.items():
        assert repository.http.get(path).content == content
    subject = quote(manifest.digest, safe="")
    assert repository.http.get(f"/v2/{name}/tags/list").json()["tags"] == ["image"]
    assert repository.http.get(f"/v2/{name}/referrers/{subject}").status_code == 200
    assert repository.http.post(f"/v2/{name}/blobs/uploads/").status_code == 202


@shows("acr-4", "push-4")
@pytest.mark.parametrize("slash", ["/", ""])
def test_an_upload_starts_with_and_without_the_last_slash(
    repository: Repository, slash: str
) -> None:
    answer = repository.ask("POST", f"blobs/uploads{slash}")
    assert answer.status_code == 202
    assert answer.headers["Location"].startswith(repository.path("blobs/uploads/"))


@shows("acr-5", "delete-5")
def test_deletes_are_answered_202_with_nothing(repository: Repository) -> None:
    data = image()
    repository.push(data)
    blob = data.blobs[0].digest
    for path in ("manifests/image", f"manifests/{data.manifests[0].digest}", f"blobs/{blob}"):
        answer = repository.ask("DELETE", path)
        assert answer.status_code == 202
        assert answer.content == b""
    assert answer.headers["Docker-Content-Digest"] == blob


@shows("acr-5")
def test_a_blob_in_use_stays(repository: Repository) -> None:
    data = image()
    repository.push(data)
    for blob in data.blobs:
        assert repository.status(f"blobs/{blob.digest}", "DELETE") == 405
        assert repository.status(f"blobs/{blob.digest}") == 200


@shows("acr-8")
@pytest.mark.parametrize(
    ("method", "rest", "scope"),
    [
        ("GET", "manifests/v1", "pull"),
        ("PUT", "manifests/v1", "pull,push"),
        ("DELETE", "manifests/v1", "delete"),
        ("HEAD", f"blobs/{UNKNOWN[0]}", "pull"),
        ("POST", "blobs/uploads/", "pull,push"),
        ("GET", "tags/list", "pull"),
    ],
    ids=lambda value: value.partition("/")[0],
)
def test_a_challenge_names_what_to_ask_for(
    closed_registry: Registry, way: Way, method: str, rest: str, scope: str
) -> None:
    answer = httpx.request(method, f"{closed_registry.url}/v2/conformance/a/{rest}")
    host = closed_registry.login_server
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == (
        f'Bearer realm="http://{host}/oauth2/token",service="{host}",'
        f'scope="repository:conformance/a:{scope}"'
    )


@shows("acr-8", "mount-1")
def test_a_mount_asks_for_both_repositories(
    closed_registry: Registry, repository: Repository
) -> None:
    source = repository.other()
    digest = source.push_blob(secrets.token_bytes(64))
    query = {"mount": digest, "from": source.name}
    path = repository.path("blobs/uploads/")
    answer = httpx.post(f"{closed_registry.url}{path}", params=query)
    both = f"repository:{repository.name}:pull,push repository:{source.name}:pull"
    assert f'scope="{both}"' in answer.headers["WWW-Authenticate"]
    assert answer.json()["errors"][0]["detail"] == [
        {"Type": "repository", "Name": repository.name, "Action": "pull"},
        {"Type": "repository", "Name": repository.name, "Action": "push"},
        {"Type": "repository", "Name": source.name, "Action": "pull"},
    ]
    narrow = repository.start()
    header = {"Authorization": narrow.request.headers["Authorization"]}
    again = httpx.post(f"{closed_registry.url}{path}", params=query, headers=header)
    assert again.status_code == 401
    assert 'error="insufficient_scope"' in again.headers["WWW-Authenticate"]
    assert repository.start(**query).status_code == 201
