"""The emulator: it starts, keeps its data, and never outlives whoever started it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from infra.devhost import storage
from infra.devhost.storage import Azurite, InUse, StorageError, offered
from tests.devhost.conftest import REPOSITORY
from tests.support.waiting import until

pytestmark = pytest.mark.emulator

HOLDER = """
import sys, time
from pathlib import Path
from infra.devhost.storage import Azurite
with Azurite(Path(sys.argv[1])) as azurite:
    print(azurite.pid, azurite.connection_string, flush=True)
    time.sleep(600)
"""


def write(connection_string: str) -> None:
    blobs = BlobServiceClient.from_connection_string(connection_string)
    blobs.create_container("kept").upload_blob("blob", b"content")
    QueueServiceClient.from_connection_string(connection_string).create_queue("kept").send_message(
        "text"
    )
    tables = TableServiceClient.from_connection_string(connection_string)
    tables.create_table("kept").create_entity({"PartitionKey": "p", "RowKey": "r", "v": 1})


def check(connection_string: str) -> None:
    blobs = BlobServiceClient.from_connection_string(connection_string)
    assert blobs.get_blob_client("kept", "blob").download_blob().readall() == b"content"
    queues = QueueServiceClient.from_connection_string(connection_string)
    assert [m.content for m in queues.get_queue_client("kept").peek_messages()] == ["text"]
    tables = TableServiceClient.from_connection_string(connection_string)
    assert tables.get_table_client("kept").get_entity("p", "r")["v"] == 1


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_what_was_written_at_the_last_moment_is_kept(tmp_path: Path) -> None:
    with Azurite(tmp_path) as azurite:
        pid = azurite.pid
        write(azurite.connection_string)
    assert pid
    assert not is_alive(pid)
    with Azurite(tmp_path) as azurite:
        check(azurite.connection_string)


def test_nothing_is_lost_when_its_parent_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout
        pid, connection_string = holder.stdout.readline().split()
        write(connection_string)
        holder.kill()
    until(lambda: not is_alive(int(pid)))
    with Azurite(tmp_path) as azurite:
        check(azurite.connection_string)


def test_terminal_does_not_interrupt_it(tmp_path: Path) -> None:
    with Azurite(tmp_path) as azurite:
        assert azurite.pid
        assert os.getsid(azurite.pid) != os.getsid(0)


def test_log_has_a_line_for_each_call(tmp_path: Path) -> None:
    log = tmp_path / "calls.log"

    def calls() -> list[str]:
        return [line for line in log.read_text().splitlines() if "HTTP/1.1" in line]

    with Azurite(log=log) as azurite:
        write(azurite.connection_string)
        until(lambda: len(calls()) >= 6)  # a line comes after its answer
    assert len(calls()) == 6
    assert '"PUT /devstoreaccount1/kept/blob HTTP/1.1" 201' in calls()[1]


def seconds_of(pid: int) -> float:
    """Tell how long a process has worked by now."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def test_a_look_at_a_queue_costs_no_more_for_what_waits_in_others() -> None:
    def looks() -> float:
        assert azurite.pid
        before = seconds_of(azurite.pid)
        for _ in range(300):
            assert not [*looked_at.receive_messages()]
        return seconds_of(azurite.pid) - before

    with Azurite() as azurite:
        queues = QueueServiceClient.from_connection_string(azurite.connection_string)
        looked_at, other = queues.create_queue("empty"), queues.create_queue("full")
        looks()
        alone = looks()
        for number in range(2_500):
            other.send_message(f"{number}", visibility_timeout=3_600)
        assert looks() < 4 * alone


@pytest.mark.parametrize("ending", [1, 5, 20])
def test_of_messages_that_end_the_others_stay(ending: int) -> None:
    with Azurite() as azurite:
        queues = QueueServiceClient.from_connection_string(azurite.connection_string)
        queue, other = queues.create_queue("some"), queues.create_queue("others")
        for number in range(ending):
            queue.send_message("ends", time_to_live=1)
            other.send_message(f"{number}")
            queue.send_message(f"{number}")
        time.sleep(1.1)
        for each in (queue, other):
            found = [message.content for message in each.receive_messages(messages_per_page=32)]
            assert sorted(found, key=int) == [f"{number}" for number in range(ending)]


def test_taken_port_is_named(tmp_path: Path) -> None:
    with Azurite() as first, pytest.raises(StorageError, match=f":{first.ports.blob}$"):
        Azurite(tmp_path, first.ports).start()


def test_stop_is_quick_and_may_be_repeated() -> None:
    azurite = Azurite()
    azurite.start()
    began = time.monotonic()
    azurite.stop()
    azurite.stop()
    assert time.monotonic() - began < 5
    assert azurite.pid is None


def test_one_that_does_not_end_is_killed_and_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(storage, "_STOP_SECONDS", 1)
    with Azurite() as azurite:
        assert azurite.pid
        pid = azurite.pid
        os.kill(pid, signal.SIGSTOP)
    assert not is_alive(pid)
    assert "did not end in 1 seconds, and was killed" in caplog.text


async def test_a_disk_that_is_full_is_told_once_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    frees = iter([10**12, 10**6, 0, 10**12, 10**6])
    azurite = Azurite(tmp_path)

    def usage(_: Path) -> object:
        free = next(frees, None)
        if free is None:
            azurite.stop()
        return SimpleNamespace(free=free or 0)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    monkeypatch.setattr(storage, "_WATCH_SECONDS", 0)
    azurite.start()
    await azurite.watch()
    assert caplog.text.count(f"the disk of {tmp_path} is full (0 MiB are free)") == 2


def test_signal_to_the_emulator_is_graceful_too(tmp_path: Path) -> None:
    with Azurite(tmp_path) as azurite:
        assert azurite.pid
        write(azurite.connection_string)
        os.kill(azurite.pid, signal.SIGINT)
    with Azurite(tmp_path) as azurite:
        check(azurite.connection_string)


def test_two_do_not_work_on_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_LOCK_SECONDS", 0.1)
    with Azurite(tmp_path) as azurite:
        write(azurite.connection_string)
        with pytest.raises(InUse, match=f"{tmp_path} is in use by another emulator"):
            Azurite(tmp_path).start()
        check(azurite.connection_string)


def test_the_folder_is_in_use_until_all_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_LOCK_SECONDS", 0.1)
    with Azurite(tmp_path) as azurite:
        assert azurite.pid
        os.kill(azurite.pid, signal.SIGSTOP)
        assert azurite._lock
        azurite._lock.close()  # as the end of its parent does
        with pytest.raises(InUse):
            Azurite(tmp_path).start()
        os.kill(azurite.pid, signal.SIGCONT)
    with Azurite(tmp_path):
        pass


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="/file cannot be used: File exists"):
        Azurite(tmp_path / "file").start()


def test_what_is_offered_is_found_while_it_runs(tmp_path: Path) -> None:
    assert offered(tmp_path) is None
    with Azurite(tmp_path) as azurite:
        assert offered(tmp_path) is None
        azurite.offer()
        assert offered(tmp_path) == azurite.connection_string
    assert offered(tmp_path) is None
    with Azurite(tmp_path):
        assert offered(tmp_path) is None
