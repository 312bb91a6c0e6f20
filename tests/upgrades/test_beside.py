"""Both versions serve one registry at once, as they do for minutes at each deployment."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from infra.package.contents import PACKAGES
from tests.support import flows
from tests.support.hosts import Host, Registry
from tests.support.images import artifact, blob, image, random_bytes
from tests.support.isolated import IsolatedHost
from tests.support.receivers import Receiver
from tests.support.waiting import until
from tests.upgrades.running import no_failure
from tests.upgrades.versions import Packaged, Version

pytestmark = [
    pytest.mark.protocol,
    pytest.mark.emulator,
    pytest.mark.direct("the versions meet in storage, not in front of it"),
    pytest.mark.xdist_group("upgrades"),
]

MIB = 1 << 20
SECONDS = 90
NAME = {"Host": "registry.test"}


@dataclass(frozen=True, slots=True)
class Side:
    """A version that runs, and who may log in there."""

    version: Version
    host: Host
    registry: Registry


type Sides = tuple[Side, Side]


@pytest.fixture(scope="module")
def running(settings: dict[str, str], logs: Path, this: Version, last: Version) -> Iterator[Sides]:
    with last.host(settings, logs / "last") as old, this.host(settings, logs / "this") as new:
        sides = [
            Side(version, host, registry_at(host, settings))
            for version, host in ((this, new), (last, old))
        ]
        yield sides[0], sides[1]


@pytest.fixture(params=["this one first", "the last one first"])
def sides(running: Sides, request: pytest.FixtureRequest) -> Sides:
    """Both, in each order."""
    first, second = running
    return (first, second) if request.param == "this one first" else (second, first)


@pytest.fixture
def repository() -> str:
    return f"upgrades/{uuid.uuid4().hex[:8]}"


def registry_at(host: Host, settings: dict[str, str]) -> Registry:
    user, password = settings["REGISTRY_NAME"], settings["REGISTRY_ADMIN_PASSWORD"]
    return Registry(host.login_server, user, password)


def at(side: Side, path: str) -> str:
    """Give a location of one side at the other: a load balancer knows no difference."""
    return f"{side.registry.url}{httpx.URL(path).raw_path.decode()}"


def test_an_upload_goes_back_and_forth(sides: Sides, repository: str) -> None:
    one, other = sides
    content = blob(random_bytes(3 * MIB, 1))
    pieces = [content.content[start : start + MIB] for start in range(0, 3 * MIB, MIB)]
    with (
        flows.connect(one.registry, repository) as here,
        flows.connect(other.registry, repository) as there,
    ):
        location = flows.start_upload(here, repository)
        location = flows.send_piece(there, at(other, location), pieces[0], 0)
        location = flows.send_piece(here, at(one, location), pieces[1], MIB)
        status = there.get(at(other, location))
        assert (status.status_code, status.headers["Range"]) == (204, f"0-{2 * MIB - 1}")
        location = flows.send_piece(here, at(one, location), pieces[2], 2 * MIB)
        assert flows.finish_upload(there, at(other, location), content.digest).status_code == 201
        assert flows.pull_blob(here, repository, content.digest) == content.content


def test_what_is_pushed_to_one_is_pulled_listed_and_deleted_at_the_other(
    sides: Sides, repository: str
) -> None:
    one, other = sides
    pushed = image(seed=7, layers=2)
    note = artifact("application/vnd.test.note", b"a note", pushed.manifest)
    flows.push(one.registry, repository, pushed, "v1")
    flows.push(one.registry, repository, note, note.digest)
    assert flows.pull(other.registry, repository, "v1") == flows.pulled(pushed)
    with flows.connect(other.registry, repository, "pull,push,delete") as there:
        assert there.get(f"/v2/{repository}/tags/list").json()["tags"] == ["v1"]
        shown = there.get(f"/v2/{repository}/referrers/{pushed.digest}").json()["manifests"]
        assert [entry["digest"] for entry in shown] == [note.digest]
        deleted = there.delete(f"/v2/{repository}/manifests/{pushed.digest}")
        assert deleted.status_code == 202
    with flows.connect(one.registry, repository) as here:
        assert here.head(f"/v2/{repository}/manifests/v1").status_code == 404
        flows.push_into(here, repository, pushed, "v1")
    assert flows.pull(other.registry, repository, "v1") == flows.pulled(pushed)


def test_the_last_version_runs_by_the_packages_of_its_own_package(
    running: Sides, last: Packaged
) -> None:
    host = running[1].host
    assert isinstance(host, IsolatedHost)
    assert host.packages() == {last.root / PACKAGES}


def test_a_token_of_one_opens_the_other(sides: Sides, repository: str) -> None:
    one, other = sides
    query = {"service": "registry.test", "scope": f"repository:{repository}:pull,push"}
    password = (one.registry.user, one.registry.password)
    answer = httpx.get(
        f"{one.registry.url}/oauth2/token", params=query, auth=password, headers=NAME
    )
    headers = {**NAME, "Authorization": f"Bearer {answer.json()['access_token']}"}
    path = f"{other.registry.url}/v2/{repository}/blobs/uploads/"
    assert httpx.post(path, headers=headers).status_code == 202


def test_an_upload_that_was_cut_off_goes_on_where_the_other_says(
    sides: Sides, repository: str
) -> None:
    """A deployment ends what runs: a PATCH stops in the midst, and the version changes."""
    one, other = sides
    content = blob(random_bytes(6 * MIB, 2))
    with flows.connect(one.registry, repository) as here:
        location = flows.start_upload(here, repository)
        location = flows.send_piece(here, location, content.content[:MIB], 0)
        with pytest.raises(httpx.TransportError):
            here.patch(location, content=cut_off(one.host, content.content[MIB:]))
    try:
        with flows.connect(other.registry, repository) as there:
            status = there.get(at(other, location))
            assert status.status_code == 204
            offset = int(status.headers["Range"].removeprefix("0-")) + 1
            assert offset == MIB
            location = at(other, status.headers["Location"])
            rest = content.content[offset:]
            location = flows.send_piece(there, location, rest, offset)
            finished = flows.finish_upload(there, at(other, location), content.digest)
            assert finished.status_code == 201
            assert flows.pull_blob(there, repository, content.digest) == content.content
    finally:
        one.host.start()


def cut_off(host: Host, piece: bytes) -> Iterator[bytes]:
    """Send half of a piece, kill the host, and send the rest."""
    yield piece[: len(piece) // 2]
    host.kill()
    yield piece[len(piece) // 2 :]


def test_a_webhook_of_one_hears_of_pushes_to_both(
    sides: Sides, repository: str, settings: dict[str, str]
) -> None:
    one, other = sides
    with Receiver() as receiver:
        hook = f"hook{sides[0].host.port}"
        scope = ("--scope", f"{repository}:*")
        one.version.admin(settings, "webhook", "create", hook, "--uri", receiver.url(), *scope)
        for number, side in enumerate((one, other, one, other)):
            flows.push(side.registry, repository, image(seed=20 + number, layers=1), f"v{number}")
        until(lambda: len(told(receiver)) == 4, SECONDS)


def told(receiver: Receiver) -> set[str]:
    return {json.loads(one.body)["id"] for one in receiver.received}


def test_in_the_end_nothing_has_failed(running: Sides, settings: dict[str, str]) -> None:
    """Whichever of them a message came to: both take them from the same queues."""
    assert running[0].version.admin(settings, "queue", "list") == []
    for side in running:
        no_failure(side.host)
