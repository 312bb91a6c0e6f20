"""A message on which the host's process dies, again and again: it is done at last."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.devhost.storage import Azurite
from shared.bootstrap import new_id, now, opened_ports
from shared.events import TagDeleted, values
from shared.model.names import RepositoryName
from shared.settings import Settings
from shared.storage import keys
from shared.storage.layers.later import LateMessages
from shared.storage.ports import Insert
from shared.storage.rows.failing import Failure, Failures
from shared.storage.rows.outbox import Outbox
from tests.support.causes import ME
from tests.support.hosts import Host, settings_of

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(300)]

GENERATION, REPOSITORY = "d" * 32, RepositoryName("team/app")
PARTITION = keys.contents_partition(GENERATION, REPOSITORY)
EVENT = keys.outbox("20260101T000000000000", "e" * 32)
FACTOR = 200
DEATHS = 6


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Mapping[str, str]]:
    with Azurite(tmp_path / "data") as storage:
        deaths = tmp_path / "deaths"
        deaths.write_text(str(DEATHS))
        yield settings_of(storage, TIME_FACTOR=str(FACTOR), DEATHS=str(deaths))


async def promise(settings: Mapping[str, str]) -> None:
    """Let an event have happened, of which a message tells."""
    async with opened_ports(Settings.from_env(settings).storage) as (rows, _, messages, _):
        await rows.prepare(keys.TABLES)
        await messages.prepare(keys.QUEUES)
        event = TagDeleted("v1", ME, datetime(2026, 1, 1, tzinfo=UTC))
        await rows.commit(keys.CONTENTS, PARTITION, [Insert(EVENT, values(event))])
        late = LateMessages(messages, now, new_id)
        await Outbox(late, GENERATION, new_id).promise(REPOSITORY, [EVENT])


async def look(settings: Mapping[str, str]) -> tuple[bool, list[Failure]]:
    """Tell whether the event was handed on, and what is told of failures."""
    async with opened_ports(Settings.from_env(settings).storage) as (rows, *_):
        row = await rows.get(keys.CONTENTS, PARTITION, EVENT)
        failures = [*await Failures(rows).page("", 10)]
        return row is None or row.values.get("state") == "handed", failures


def test_a_message_on_which_six_processes_died_is_done(
    settings: Mapping[str, str], tmp_path: Path
) -> None:
    asyncio.run(promise(settings))
    host = Host(settings, tmp_path / "log", "tests.support.dying_host")
    starts, told, deadline = 0, [], time.monotonic() + 240
    try:
        while time.monotonic() < deadline:
            if host._process is None or host._process.poll() is not None:
                host.start(lambda: True)
                starts += 1
            time.sleep(0.3)
            is_done, failures = asyncio.run(look(settings))
            told += failures
            if is_done:
                break
    finally:
        host.stop()
    log = (tmp_path / "log").read_text()
    assert is_done, log[-3000:]
    assert starts == DEATHS + 1
    assert "goes to events-poison" in log
    assert {failure.letter.tries for failure in told} == {1}
