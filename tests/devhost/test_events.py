"""Queue, blob and timer functions on the emulator."""

import base64
import json
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerClient
from azure.storage.queue import QueueClient

from infra.devhost.storage import Azurite
from tests.devhost.conftest import DevHost, Start
from tests.support.waiting import until

pytestmark = pytest.mark.emulator


@dataclass
class Account:
    """The emulator, with names for one test alone."""

    connection_string: str
    name: str

    @property
    def settings(self) -> dict[str, str]:
        return {
            "AzureWebJobsStorage": self.connection_string,
            "QUEUE": self.name,
            "CONTAINER": self.name,
            "SCHEDULE": "* * * * * *",
            "AzureFunctionsWebHost__hostid": self.name,
        }

    def queue(self, suffix: str = "") -> QueueClient:
        return QueueClient.from_connection_string(self.connection_string, self.name + suffix)

    def container(self) -> ContainerClient:
        service = BlobServiceClient.from_connection_string(self.connection_string)
        return service.get_container_client(self.name)

    def state(self, path: str) -> Any:
        service = BlobServiceClient.from_connection_string(self.connection_string)
        blob = service.get_blob_client("azure-webjobs-hosts", path.format(self.name))
        return json.loads(blob.download_blob().readall())

    def write_state(self, path: str, state: dict[str, str]) -> None:
        service = BlobServiceClient.from_connection_string(self.connection_string)
        blob = service.get_blob_client("azure-webjobs-hosts", path.format(self.name))
        blob.upload_blob(json.dumps(state), overwrite=True)


@pytest.fixture
def account(azurite: Azurite) -> Account:
    return Account(azurite.connection_string, f"t{uuid.uuid4().hex[:16]}")


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def contents(queue: QueueClient) -> list[str]:
    try:
        return [message.content for message in queue.peek_messages(32)]
    except ResourceNotFoundError:
        return []


def length(queue: QueueClient) -> int:
    return int(queue.get_queue_properties().approximate_message_count or 0)


def texts(host: DevHost) -> list[str]:
    return [note["text"] for note in host.notes("take")]


def test_message_is_run_once_and_deleted(start: Start, account: Account) -> None:
    account.queue().create_queue()
    sent = account.queue().send_message(encoded("good"))
    host = start("--functions", "take", **account.settings)
    until(lambda: length(account.queue()) == 0)
    assert host.notes("take") == [{"text": "good", "count": 1, "id": sent.id}]
    host.until_printed(f"Trigger Details: MessageId: {sent.id}, DequeueCount: 1, InsertionTime: 2")
    host.until_printed("(Succeeded, Id=")
    assert host.end() == (0, "")


def test_failing_message_is_retried_and_then_put_aside(start: Start, account: Account) -> None:
    account.queue().create_queue()
    account.queue().send_message(encoded("bad"))
    host = start("--functions", "take", **account.settings)
    until(lambda: contents(account.queue("-poison")) == [encoded("bad")])
    until(lambda: length(account.queue()) == 0)
    assert [note["count"] for note in host.notes("take")] == [1, 2]


def test_failed_message_stays_hidden_for_the_visibility_timeout(
    start: Start, account: Account
) -> None:
    queues = {"visibilityTimeout": "00:00:03", "maxPollingInterval": "00:00:01"}
    account.queue().create_queue()
    account.queue().send_message(encoded("bad"))
    host = start(
        "--functions", "take", host_json={"extensions": {"queues": queues}}, **account.settings
    )
    until(lambda: len(host.notes("take")) == 1)
    failed = time.monotonic()
    until(lambda: len(host.notes("take")) == 2)
    assert time.monotonic() - failed > 2.5
    assert host.end() == (0, "")


def test_text_that_is_not_base64_is_put_aside(start: Start, account: Account) -> None:
    account.queue().create_queue()
    account.queue().send_message("not base64!")
    host = start("--functions", "take", **account.settings)
    until(lambda: contents(account.queue("-poison")) == ["not base64!"])
    assert host.notes("take") == []


def test_plain_text_is_taken_if_host_json_says_so(start: Start, account: Account) -> None:
    plain = {"extensions": {"queues": {"messageEncoding": "none"}}}
    account.queue().create_queue()
    account.queue().send_message("plain")
    host = start("--functions", "take", host_json=plain, **account.settings)
    until(lambda: texts(host) == ["plain"], 20)
    assert host.end() == (0, "")


def test_missing_queue_is_waited_for(start: Start, account: Account) -> None:
    host = start("--functions", "take", **account.settings)
    time.sleep(0.5)
    account.queue().create_queue()
    account.queue().send_message(encoded("late"))
    until(lambda: texts(host) == ["late"])


def test_messages_run_side_by_side_up_to_the_batch(start: Start, account: Account) -> None:
    queues = {"batchSize": 2, "newBatchThreshold": 1, "maxPollingInterval": "00:00:01"}
    account.queue().create_queue()
    for _ in range(6):
        account.queue().send_message(encoded("slow2"))
    host = start(
        "--functions", "take", host_json={"extensions": {"queues": queues}}, **account.settings
    )
    until(lambda: "slept" in texts(host), 20)
    first = texts(host)
    assert first[: first.index("slept")] == ["slow2"] * 2
    until(lambda: texts(host).count("slept") == 6, 20)
    assert host.end() == (0, "")


def test_out_bindings_reach_their_queues(start: Start, account: Account) -> None:
    host = start("--functions", "enqueue", "take", "block", **account.settings)
    answer = httpx.post(f"{host.url}/enqueue", content="from http")
    assert answer.status_code == 202
    until(lambda: texts(host) == ["from http"])
    account.queue("-sync").create_queue()
    account.queue("-sync").send_message(encoded("0"))
    until(lambda: contents(account.queue("-answers")) == [encoded("unblocked")])


def test_stop_lets_a_running_function_end(start: Start, account: Account) -> None:
    account.queue().create_queue()
    account.queue().send_message(encoded("slow2"))
    host = start("--functions", "take", **account.settings)
    until(lambda: texts(host) == ["slow2"])
    account.queue().send_message(encoded("too late"))
    assert host.end() == (0, "")
    assert texts(host)[-1] == "slept"
    assert length(account.queue()) <= 1
    host = start("--functions", "take", **account.settings)
    until(lambda: "too late" in texts(host))
    assert texts(host).count("slow2") == 1


def test_stop_cuts_off_what_does_not_end(start: Start, account: Account) -> None:
    account.queue().create_queue()
    account.queue().send_message(encoded("slow600"))
    account.queue("-sync").create_queue()
    account.queue("-sync").send_message(encoded("600"))
    host = start("--functions", "take", "block", **account.settings)
    until(lambda: texts(host) == ["slow600"] and host.notes("block"))
    began = time.monotonic()
    assert host.end() == (0, "")
    assert 10 < time.monotonic() - began < 20
    assert length(account.queue()) == 1


def test_new_blob_runs_its_function(start: Start, account: Account) -> None:
    container = account.container()
    container.create_container()
    container.upload_blob("in/old.txt", b"from before the host")
    time.sleep(1.1)
    host = start("--functions", "read_client", "read_stream", **account.settings)
    host.until_printed("read_client: blobTrigger")
    time.sleep(1.1)
    container.upload_blob("in/new.txt", b"1234")
    container.upload_blob("in/elsewhere", b"no .txt")
    container.upload_blob("bytes/x", b"abc")
    until(lambda: host.notes("read_client") and host.notes("read_stream"))
    assert host.notes("read_client") == [{"blob": "in/new.txt", "size": 4}]
    seen = {"blob": f"{account.name}/bytes/x", "text": "abc"}
    assert host.notes("read_stream") == [seen]
    container.upload_blob("in/new.txt", b"12", overwrite=True)
    until(lambda: len(host.notes("read_client")) == 2)
    assert host.notes("read_client")[1] == {"blob": "in/new.txt", "size": 2}


def test_blob_written_while_the_host_was_away_is_reported(start: Start, account: Account) -> None:
    host = start("--functions", "read_client", **account.settings)
    until(lambda: _mark(account))
    assert host.end() == (0, "")
    account.container().create_container()
    account.container().upload_blob("in/meanwhile.txt", b"1")
    host = start("--functions", "read_client", **account.settings)
    until(lambda: host.notes("read_client") == [{"blob": "in/meanwhile.txt", "size": 1}])


def _mark(account: Account) -> Any:
    try:
        return account.state("blobwatch/{}/read_client")
    except ResourceNotFoundError:
        return None


def test_failing_blob_is_retried_and_then_put_aside(start: Start, account: Account) -> None:
    account.container().create_container()
    host = start("--functions", "read_client", **account.settings)
    until(lambda: _mark(account))
    account.container().upload_blob("in/bad.txt", b"1")
    poison = QueueClient.from_connection_string(
        account.connection_string, "webjobs-blobtrigger-poison"
    )
    until(lambda: any(_container(text) == account.name for text in contents(poison)))
    assert len(host.notes("read_client")) == 2


def test_nonsense_among_the_events_is_put_aside(start: Start, account: Account) -> None:
    events = QueueClient.from_connection_string(
        account.connection_string, f"azure-webjobs-blobtrigger-{account.name}"
    )
    events.create_queue()
    events.send_message(encoded(f"nonsense {account.name}"))
    events.send_message(encoded('{"FunctionId": "Host.Functions.gone"}'))
    host = start("--functions", "read_client", **account.settings)
    until(lambda: length(events) == 0)
    host.until_printed("goes to webjobs-blobtrigger-poison")
    assert host.end() == (0, "")


def _container(text: str) -> str:
    event = base64.b64decode(text).decode()
    return json.loads(event).get("ContainerName", "") if event.startswith("{") else ""


def test_webhook_takes_event_grids_events(start: Start, account: Account) -> None:
    account.container().create_container()
    account.container().upload_blob("in/posted.txt", b"123")
    time.sleep(1.1)
    host = start("--functions", "base", "read_client", **account.settings)
    url = f"{host.url}/runtime/webhooks/blobs?functionName=Host.Functions.read_client&code=any"

    def post(kind: str, content: object) -> httpx.Response:
        return httpx.post(url, json=content, headers={"aeg-event-type": kind})

    event = {"subject": _subject(account, "in/posted.txt"), "data": {"eTag": "0x1"}}
    gone = {"subject": _subject(account, "in/gone.txt"), "data": {"eTag": "0x1"}}
    validation = [{"data": {"validationCode": "512d38b6"}}]
    assert post("SubscriptionValidation", validation).json() == {"validationResponse": "512d38b6"}
    assert post("Unsubscribe", {}).status_code == 202
    assert post("Other", {}).status_code == 400
    assert post("Notification", [{"subject": "nonsense"}]).status_code == 400
    assert post("Notification", [gone, event]).status_code == 202
    assert post("Notification", event).status_code == 202
    until(lambda: host.notes("read_client") == [{"blob": "in/posted.txt", "size": 3}] * 2)


def _subject(account: Account, blob: str) -> str:
    return f"/blobServices/default/containers/{account.name}/blobs/{blob}"


def test_timer_fires_without_overlap_and_on_one_host(start: Start, account: Account) -> None:
    hosts = [start("--functions", "tick", **account.settings) for _ in range(2)]
    until(lambda: len(hosts[0].notes("tick")) >= 6, 20)
    notes = hosts[0].notes("tick")  # both hosts write into one file
    assert len({note["pid"] for note in notes}) == 1
    assert [note.get("end", False) for note in notes] == [i % 2 == 1 for i in range(len(notes))]
    assert all(note["at"] % 1 < 0.3 for note in notes[::2])
    (holder,) = [host for host in hosts if host.process.pid == notes[0]["pid"]]
    assert holder.end() == (0, "")
    until(lambda: len({note["pid"] for note in hosts[0].notes("tick")}) == 2, 9)


def test_killed_hosts_timer_is_taken_over(start: Start, account: Account) -> None:
    host = start("--functions", "tick", **account.settings)
    until(lambda: host.notes("tick"))
    host.process.kill()
    start("--functions", "tick", **account.settings)
    until(lambda: len({note["pid"] for note in host.notes("tick")}) == 2, 30)


def test_missed_run_is_made_up_for(start: Start, account: Account) -> None:
    settings = {**account.settings, "SCHEDULE": "0 0 0 1 * *"}
    path = "timers/{}/Host.Functions.tick/status"
    host = start("--functions", "tick", **settings)
    until(lambda: _exists(account, path))
    assert host.end() == (0, "")
    assert host.notes("tick") == []
    last, foreseen = "2026-01-31T00:00:00+00:00", "2026-02-01T00:00:00+00:00"
    account.write_state(path, {"Last": last, "Next": foreseen, "LastUpdated": last})
    host = start("--functions", "tick", **settings)
    until(lambda: len(host.notes("tick")) == 2)
    assert host.notes("tick")[0]["past_due"] is True
    assert host.end() == (0, "")
    assert account.state(path)["Last"] > "2026-11"
    start("--functions", "tick", **settings)
    time.sleep(1)
    assert len(host.notes("tick")) == 2


def _exists(account: Account, path: str) -> bool:
    try:
        return bool(account.state(path))
    except ResourceNotFoundError:
        return False


def test_run_on_startup_runs_at_each_start(start: Start, account: Account) -> None:
    for times in (1, 2):
        host = start("--functions", "first", **account.settings)
        until(lambda: len(host.notes("first")) == times)  # noqa: B023 - called at once
        assert host.end() == (0, "")
    assert host.notes("first")[0] == {"past_due": False}


def test_storage_away_for_a_while_is_survived(
    start: Start, tmp_path: Path, account: Account
) -> None:
    data = tmp_path / "data"
    with Azurite(data) as first:
        ports, settings = first.ports, account.settings
        settings["AzureWebJobsStorage"] = first.connection_string
        host = start("--functions", "take", "tick", **settings)
        until(lambda: host.notes("tick"))
    time.sleep(1)
    with Azurite(data, ports) as second:
        ticks = len(host.notes("tick"))
        queue = QueueClient.from_connection_string(second.connection_string, account.name)
        queue.create_queue()
        queue.send_message(encoded("again"))
        until(lambda: texts(host) == ["again"], 30)
        until(lambda: len(host.notes("tick")) > ticks, 30)
        assert host.end() == (0, "")
