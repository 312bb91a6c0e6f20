"""scrub run and scrub report, over memory."""

import asyncio
import json

import pytest

from shared.model.digest import Digest
from shared.services.verification import scrub as module
from shared.storage import keys
from shared.storage.bodies import Bodies
from shared.storage.ports import Unavailable
from shared.storage.stores import Stores
from tests.admin.conftest import Run
from tests.support.app import GENERATION, Memory
from tests.support.clock import Clock, Ids
from tests.support.images import blob
from tests.support.pauses import no_pause
from tests.unit.services.conftest import hold

BLOBS = [blob(f"content {number}".encode()) for number in range(3)]
HERE = "team/app"


@pytest.fixture
def names(registry: None, memory: Memory, clock: Clock) -> list[str]:
    """Blobs that were made an hour ago, the last of them rotten; the names of their objects."""
    clock.move(hours=-1)
    stores = Stores.over(
        memory.rows,
        memory.objects,
        memory.messages,
        GENERATION,
        beside=memory.beside,
        bodies=Bodies(1),
        clock=clock,
        new_id=Ids(),
        pause=no_pause,
    )
    asyncio.run(hold(stores, *BLOBS))
    clock.move(hours=1)
    assert memory.objects._container
    found = list(memory.objects._container.objects)
    object.__setattr__(memory.objects._container.objects[found[-1]], "data", b"rotten")
    return found


def test_a_whole_round_tells_what_it_came_upon(run: Run, names: list[str]) -> None:
    ended = run("scrub", "run")
    assert ended.exit_code == 0, ended.output
    assert "3 objects verified (27 bytes)" in ended.stdout
    assert "1 bad, 0 missing" in ended.stdout
    assert "0 objects verified (0 bytes), 3 verified lately" in run("scrub", "run").stdout
    assert "2 objects verified (18 bytes), 1 verified" in run("scrub", "run", "--all").stdout


def test_the_report_lists_what_is_bad(run: Run, names: list[str]) -> None:
    assert (
        "no round has ended yet\nnothing was found bad or missing" in run("scrub", "report").stdout
    )
    run("scrub", "run")
    shown = run("scrub", "report").stdout
    assert "last round: 3 objects verified" in shown
    assert "not healed: push it again" in shown
    said = json.loads(run("-o", "json", "scrub", "report").stdout)
    (damage,) = said["damages"]
    assert (damage["object"], damage["digest"]) == (names[-1], BLOBS[-1].digest)
    assert (damage["repository"], damage["what"], damage["healed"]) == (HERE, "bad", None)
    assert damage["is_needed"]
    assert (said["last"]["objects"], said["last"]["bad"], said["round"]) == (3, 1, None)


def test_the_report_tells_how_much_it_does_not_list(
    run: Run, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("scrub", "run")
    monkeypatch.setattr(module, "MOST_TOLD", 0)
    assert "and 1 more, which are not shown" in run("scrub", "report").stdout
    said = json.loads(run("-o", "json", "scrub", "report").stdout)
    assert (said["damages"], said["more"]) == ([], 1)


def test_what_is_healed_or_gone_is_said_to_be(
    run: Run, names: list[str], memory: Memory, clock: Clock
) -> None:
    run("scrub", "run")
    partition = keys.blob_partition(GENERATION, Digest.parse(BLOBS[-1].digest))
    content = memory.rows._tables[keys.BLOBS][partition].pop(keys.CONTENT)
    assert "nobody needs it any more" in run("scrub", "report").stdout
    memory.rows._tables[keys.BLOBS][partition][keys.CONTENT] = content
    row = memory.rows._tables[keys.REGISTRIES][keys.scrub(GENERATION)][keys.bad(names[-1])]
    object.__setattr__(row, "values", {**row.values, "healed": clock()})
    assert f"healed {clock():%Y-%m-%d}" in run("scrub", "report").stdout


def test_a_round_that_lacks_something_says_so(
    run: Run, names: list[str], memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(_: str) -> None:
        raise Unavailable("the objects are down")

    monkeypatch.setattr(memory.objects, "facts", down)
    ended = run("scrub", "run")
    assert ended.exit_code == 1
    assert "3 could not be read" in ended.stdout


def test_beside_another_it_does_nothing(
    run: Run, names: list[str], memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = memory.objects.facts

    async def other(name: str) -> object:
        monkeypatch.undo()
        rows = memory.rows._tables[keys.REGISTRIES].setdefault(keys.scrub(GENERATION), {})
        rows[keys.POSITION] = next(iter(memory.rows._tables[keys.REGISTRIES]["registry"].values()))
        return await facts(name)

    monkeypatch.setattr(memory.objects, "facts", other)
    ended = run("scrub", "run")
    assert ended.exit_code == 1
    assert "another scrub goes on at the same time" in ended.stderr
