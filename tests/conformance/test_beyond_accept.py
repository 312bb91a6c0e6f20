"""Media types: what is stored is served, whatever a client says that it accepts.

The specification's table on content negotiation is of docker's first schema, and its issue is open.
Azure's registry never converts; nor does ours.
"""

import pytest

from tests.conformance.data import DATA, DataSet, docker_image, index_with_subject
from tests.conformance.repository import Repository, answered, codes, located
from tests.conformance.requirements import shows
from tests.support.images import DOCKER, OCI, Blob
from tests.support.ways import Way

pytestmark = pytest.mark.parametrize("way", [Way.BEARER_CACHED], indirect=True)

ACCEPTS = [
    "*/*",
    "application/json",
    OCI.manifest,
    OCI.index,
    DOCKER.manifest,
    f"{DOCKER.index}, {DOCKER.manifest}, application/vnd.docker.distribution.manifest.v1+json",
    f"{OCI.manifest};q=0.1, {OCI.index};q=0.9, */*;q=0",
    f"{OCI.index};q=0",
    "text/html, ,;q=x",
    "",
]
SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"


@shows("acr-2", "accept-1", "rfc-7")
@pytest.mark.parametrize("accept", ACCEPTS)
def test_what_is_stored_is_served(repository: Repository, accept: str) -> None:
    docker = docker_image()
    oci = DATA["index"]()
    repository.push(docker)
    repository.push(oci)
    for manifest in (*docker.manifests, *oci.manifests):
        reference = f"manifests/{manifest.digest}"
        answer = repository.ask("GET", reference, headers={"Accept": accept})
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == manifest.media_type
        assert answer.content == manifest.content


@shows("acr-2", "pull-4")
def test_a_media_type_of_ones_own_is_kept(repository: Repository) -> None:
    kind = "application/vnd.example.thing+json"
    manifest = DataSet().manifest({"anything": ["goes"]}, kind)
    located(repository.push_manifest(manifest, "own"), 201)
    answer = repository.ask("GET", "manifests/own")
    assert answer.headers["Content-Type"] == kind
    assert answer.content == manifest.content


@shows("acr-2", "pull-4")
def test_the_type_is_read_in_the_manifest_where_none_is_announced(repository: Repository) -> None:
    manifest = DataSet(flavour=DOCKER).index([])
    path = repository.path("manifests/v1")
    located(repository.http.put(path, content=manifest.content), 201)
    assert repository.ask("GET", "manifests/v1").headers["Content-Type"] == DOCKER.index


@shows("manifest-1")
@pytest.mark.parametrize("media_type", [OCI.manifest, DOCKER.index])
def test_a_type_that_contradicts_the_manifest_is_refused(
    repository: Repository, media_type: str
) -> None:
    manifest = DataSet().index([])
    answer = repository.push_manifest(manifest, "v1", {"Content-Type": media_type})
    assert answer.status_code == 400
    assert codes(answer) == ["MANIFEST_INVALID"]


@shows("acr-2")
def test_the_first_schema_is_refused(repository: Repository) -> None:
    manifest = DataSet().named(b'{"schemaVersion":1,"name":"a","tag":"b"}', SCHEMA_1)
    answer = repository.push_manifest(manifest, "v1")
    assert answer.status_code == 400
    assert codes(answer) == ["MANIFEST_INVALID"]


@shows("referrers-5", "referrers-7")
def test_docker_manifests_may_refer_too(repository: Repository) -> None:
    data = DataSet(flavour=DOCKER)
    target = data.image()
    referrer = data.image(subject=target.descriptor())
    repository.push(data)
    found = answered(repository.ask("GET", f"referrers/{target.digest}"))["manifests"]
    assert found == [referrer.descriptor(artifactType=DOCKER.config)]


@shows("acr-3", "manifest-10")
@pytest.mark.parametrize(("size", "status"), [(4 * 1024 * 1024, 201), (4 * 1024 * 1024 + 1, 413)])
def test_a_manifest_has_at_most_4_mib(repository: Repository, size: int, status: int) -> None:
    answer = repository.push_manifest(padded(size), "large")
    assert answer.status_code == status
    assert status == 201 or codes(answer) == ["SIZE_INVALID"]


@shows("referrers-8", "referrers-4")
def test_a_large_descriptor_is_listed_whole(repository: Repository) -> None:
    data = index_with_subject()
    target = data.manifests[-1]
    notes = {f"note-{number}": "A" * 10_000 for number in range(60)}
    large = data.index([], subject=target.descriptor(), annotations=notes)
    repository.push(data)
    assert repository.referrers(target.digest) == [large.descriptor(annotations=notes)]


def padded(size: int) -> Blob:
    """Make an index of exactly this size, with blanks at its end."""
    small = DataSet().index([]).content
    return DataSet().named(small.ljust(size), OCI.index)
