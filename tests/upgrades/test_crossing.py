"""What one version says on a queue, the other one does; and what it does not know does no harm.

One version serves clients alone, so that all it says stays on the queues; there each message gets
what only a later version would write, in its first line and in its text. Then the other one, with
all but HTTP, takes them.
"""

import json
import time
import uuid
from pathlib import Path

import pytest
from azure.storage.queue import QueueServiceClient, TextBase64DecodePolicy, TextBase64EncodePolicy

from tests.support import flows
from tests.support.hosts import Host, Registry
from tests.support.images import artifact, image
from tests.support.receivers import Receiver
from tests.support.waiting import until
from tests.upgrades.running import no_failure, scaled, succeeded, waiting
from tests.upgrades.versions import Version

pytestmark = [
    pytest.mark.protocol,
    pytest.mark.emulator,
    pytest.mark.direct("the versions meet in storage, not in front of it"),
    pytest.mark.xdist_group("upgrades by queue"),
]

SECONDS = 90
REPOSITORY = "crossing/app"
MARK = "a_later_version"
DONE = {"run_errand", "deliver_webhook", "wake_sleepers", "fan_out_event", "collect_garbage"}
NEWER = {MARK: {"says": ["more"]}}
POLICIES = {
    "message_encode_policy": TextBase64EncodePolicy(),
    "message_decode_policy": TextBase64DecodePolicy(),
}


@pytest.fixture
def pair(request: pytest.FixtureRequest, this: Version, last: Version) -> tuple[Version, Version]:
    """Who says it, and who is told."""
    return (this, last) if request.param == "this one says" else (last, this)


def renew(queues: QueueServiceClient) -> set[str]:
    """Write each message anew as a later version might, when it is seen; name their queues."""
    left = waiting(queues)
    renewed = set(left)
    deadline = time.monotonic() + SECONDS
    while left and time.monotonic() < deadline:
        for name in list(left):
            with queues.get_queue_client(name, **POLICIES) as queue:
                for message in queue.receive_messages(max_messages=32, visibility_timeout=1):
                    if MARK not in message.content:
                        queue.send_message(newer(message.content))
                        queue.delete_message(message)
                        left[name] -= 1
            if left[name] <= 0:
                del left[name]
    assert not left, left
    return renewed


def newer(text: str) -> str:
    """Add to a letter's first line and to its text what nobody knows yet."""
    head, _, body = text.partition("\n")
    return "\n".join(json.dumps({**json.loads(part), **NEWER}) for part in (head, body))


def serve(host: Host, settings: dict[str, str]) -> None:
    """Let a client push, refer to what it pushed, delete, and begin what it does not end."""
    pushed = image(seed=31, layers=2)
    note = artifact("application/vnd.test.note", b"a note", pushed.manifest)
    user, password = settings["REGISTRY_NAME"], settings["REGISTRY_ADMIN_PASSWORD"]
    registry = Registry(host.login_server, user, password)
    for repository in (REPOSITORY, "crossing/other"):
        flows.push(registry, repository, pushed, "v1")
        flows.push(registry, repository, note, note.digest)
    with flows.connect(registry, REPOSITORY, "pull,push,delete") as client:
        for reference in ("v1", note.digest, pushed.digest):
            path = f"/v2/{REPOSITORY}/manifests/{reference}"
            assert client.delete(path).status_code == 202
        layer = pushed.blobs[-1].digest
        assert client.delete(f"/v2/{REPOSITORY}/blobs/{layer}").status_code == 202


@pytest.mark.parametrize("pair", ["this one says", "the last one says"], indirect=True)
def test_what_one_version_says_the_other_does(
    pair: tuple[Version, Version],
    settings: dict[str, str],
    queues: QueueServiceClient,
    tmp_path: Path,
) -> None:
    """Requests of one, what follows from them by the other, and what follows from that by it."""
    saying, told = pair
    settings = {**settings, "REGISTRY_NAME": f"says{uuid.uuid4().hex[:8]}"}
    requests, jobs = saying.functions(are_jobs=False), saying.functions(are_jobs=True)
    with Receiver() as receiver:
        with scaled(saying, settings, tmp_path / "serving", requests) as host:
            options = ("--uri", receiver.url(), "--action", "push", "--action", "delete")
            saying.admin(settings, "webhook", "create", "crossing", *options)
            serve(host, settings)
        assert renew(queues) == {"events"}
        with scaled(told, settings, tmp_path / "hearing", ["fan_out_event"]) as host:
            until(lambda: "events" not in waiting(queues), SECONDS)
            no_failure(host)
        assert renew(queues) >= {"upkeep", "deliveries"}
        with scaled(saying, settings, tmp_path / "doing", jobs) as host:
            until(lambda: succeeded(host) >= DONE, SECONDS)
            until(lambda: not waiting(queues), SECONDS)
            until(
                lambda: len({json.loads(one.body)["id"] for one in receiver.received}) == 6, SECONDS
            )
            no_failure(host)
