"""A rollback: the last version takes over from this one, whatever this one has written."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from azure.storage.queue import QueueServiceClient, TextBase64EncodePolicy

from tests.support import flows
from tests.support.event_grid import event
from tests.support.hosts import Host, Registry
from tests.support.images import artifact, blob, image, random_bytes
from tests.support.receivers import Receiver
from tests.support.waiting import until
from tests.upgrades.running import no_failure, scaled, succeeded, waiting
from tests.upgrades.versions import Version

pytestmark = [
    pytest.mark.protocol,
    pytest.mark.emulator,
    pytest.mark.direct("the versions meet in storage, not in front of it"),
    pytest.mark.xdist_group("rollback"),
]

MIB = 1 << 20
SECONDS = 90
REPOSITORY = "rollback/app"
FIRST, SECOND, THIRD = (image(seed=40 + number, layers=2) for number in range(3))
CONTENT = blob(random_bytes(2 * MIB, 4))
UNKNOWN = "of-a-later-version"
OF_EVENTS = "verify_blob_event"


def registry_at(host: Host, settings: dict[str, str]) -> Registry:
    user, password = settings["REGISTRY_NAME"], settings["REGISTRY_ADMIN_PASSWORD"]
    return Registry(host.login_server, user, password)


def send(queues: QueueServiceClient, queue: str, text: str) -> None:
    policy = TextBase64EncodePolicy()
    queues.get_queue_client(queue, message_encode_policy=policy).send_message(text)


def is_for(version: Version) -> bool:
    """Tell whether it has what listens to `blob-events`; a message waits for one that has."""
    return OF_EVENTS in version.functions(are_jobs=True)


def sleeper() -> str:
    """Give a letter that is to be woken now, for a queue that no version knows yet."""
    now = datetime.now(UTC).isoformat()
    head = {"id": "0" * 32, "sent": now, "tries": 0, "why": "", "queue": UNKNOWN, "due": now}
    return f"{json.dumps(head)}\n{{}}"


def write_all(registry: Registry) -> str:
    """Write all that this version writes for clients; give the location of an upload under way."""
    note = artifact("application/vnd.test.note", b"a note", FIRST.manifest)
    flows.push(registry, REPOSITORY, FIRST, "v1")
    flows.push(registry, REPOSITORY, note, note.digest)
    flows.push(registry, REPOSITORY, SECOND, "v2")
    with flows.connect(registry, REPOSITORY, "pull,push,delete") as client:
        path = f"/v2/{REPOSITORY}/manifests/{SECOND.digest}"
        assert client.delete(path).status_code == 202
        location = flows.start_upload(client, REPOSITORY)
        return flows.send_piece(client, location, CONTENT.content[:MIB], 0)


def read_all(registry: Registry, location: str) -> None:
    """Read it, go on with the upload, and write more."""
    path = location[location.index("/v2/") :]
    assert flows.pull(registry, REPOSITORY, "v1") == flows.pulled(FIRST)
    with flows.connect(registry, REPOSITORY) as client:
        assert client.head(f"/v2/{REPOSITORY}/manifests/v2").status_code == 404
        shown = client.get(f"/v2/{REPOSITORY}/referrers/{FIRST.digest}").json()["manifests"]
        assert len(shown) == 1
        moved = flows.send_piece(client, path, CONTENT.content[MIB:], MIB)
        assert flows.finish_upload(client, moved, CONTENT.digest).status_code == 201
        assert flows.pull_blob(client, REPOSITORY, CONTENT.digest) == CONTENT.content
    flows.push(registry, REPOSITORY, THIRD, "v3")


def test_the_last_version_goes_on_where_this_one_was_and_this_one_again(
    this: Version,
    last: Version,
    settings: dict[str, str],
    queues: QueueServiceClient,
    tmp_path: Path,
) -> None:
    every = (*this.functions(are_jobs=True), *this.functions(are_jobs=False))
    with Receiver() as receiver:

        def heard(tag: str) -> bool:
            told = [json.loads(one.body)["target"] for one in receiver.received]
            return any(target.get("tag") == tag for target in told)

        with scaled(this, settings, tmp_path / "log", every) as host:
            this.admin(settings, "webhook", "create", "rolled", "--uri", receiver.url())
            location = write_all(registry_at(host, settings))
            until(lambda: heard("v2"), SECONDS)
            until(lambda: not waiting(queues), SECONDS)
            no_failure(host)
        send(queues, "later", sleeper())
        send(queues, "blob-events", json.dumps(event(f"{'0' * 32}/{'1' * 32}")))
        with scaled(last, settings, tmp_path / "log", every) as host:
            registry = registry_at(host, settings)
            read_all(registry, location)
            until(lambda: heard("v3"), SECONDS)
            last.admin(settings, "deleted", "restore", REPOSITORY, SECOND.digest)
            assert flows.pull(registry, REPOSITORY, "v2") == flows.pulled(SECOND)
            until(lambda: f"for queue '{UNKNOWN}', unknown here" in host.log(), SECONDS)
            until(lambda: not is_for(last) or OF_EVENTS in succeeded(host), SECONDS)
            no_failure(host)
        with scaled(this, settings, tmp_path / "log", every) as host:
            registry = registry_at(host, settings)
            for tag, pushed in (("v1", FIRST), ("v2", SECOND), ("v3", THIRD)):
                assert flows.pull(registry, REPOSITORY, tag) == flows.pulled(pushed)
            until(lambda: is_for(last) or OF_EVENTS in succeeded(host), SECONDS)
            no_failure(host)
        (kept,) = this.admin(settings, "queue", "list")
        assert kept["queue"] == "later"
