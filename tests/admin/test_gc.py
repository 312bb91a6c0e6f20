"""What nothing uses any more is found and explained by command, over memory."""

import asyncio
import json
from datetime import timedelta

import pytest

from infra.admin.groups import gc
from shared.administration import Administration, administration
from shared.model.digest import Digest
from shared.services.content.pushes import Pushes
from shared.settings import Settings
from shared.storage import keys
from shared.storage.rows.registries import Grace
from tests.admin.conftest import Run
from tests.support.app import NAME, Memory
from tests.support.causes import ME
from tests.unit.services.conftest import LATEST, REPOSITORY, hold, image_of, parts

TWO, UNUSED = parts(2), parts(3, "unused")
IMAGE = image_of(TWO)
LATELY = timedelta(days=1.5, seconds=1)


@pytest.fixture
def full(registry: None, environment: dict[str, str], memory: Memory) -> None:
    """A registry with an image, and with blobs that nothing uses."""

    async def make() -> None:
        async with administration(Settings.from_env(environment), NAME) as here:
            assert here
            await fill(here)

    async def fill(here: Administration) -> None:
        stores = here.jobs.stores
        await hold(stores, *TWO, *UNUSED)
        await Pushes(stores, is_sparse_allowed=False).put(REPOSITORY, IMAGE, [LATEST], by=ME)

    asyncio.run(make())
    memory.clock.now += LATELY
    memory.messages.sent.clear()


def document(output: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(output)
    return found


COUNTS = [
    {"what": "a link that nothing uses", "found": 3, "left": 0},
    {"what": "an event that waits for its message", "found": 1, "left": 0},
]


def test_a_round_takes_what_nothing_uses_and_counts_it(
    full: None, run: Run, memory: Memory
) -> None:
    done = run("gc", "run", "-o", "json")
    assert (done.exit_code, done.stderr) == (0, "")
    said = document(done.stdout)
    assert said["counts"] == COUNTS
    assert (said["rows_collected"], said["objects_collected"]) == (9, 3)
    assert len(memory.keys("blob|")) == 2
    again = document(run("gc", "run", "-o", "json").stdout)
    assert again["counts"] == COUNTS[1:]


def test_a_dry_run_finds_the_same_and_changes_nothing(full: None, run: Run, memory: Memory) -> None:
    kept = memory.kept()
    would = document(run("gc", "run", "--dry-run", "-o", "json").stdout)
    assert (memory.kept(), memory.messages.sent) == (kept, [])
    does = document(run("gc", "run", "-o", "json").stdout)
    assert memory.kept() != kept
    for name in ("counts", "findings", "and_more", "pages"):
        assert would[name] == does[name]
    assert (would["dry_run"], does["dry_run"]) == (True, False)


def test_people_read_a_table_and_a_sentence(full: None, run: Run) -> None:
    would = run("gc", "run", "--dry-run")
    assert "a link that nothing uses" in would.stdout
    assert "4 found, and nothing was changed" in would.stdout
    done = run("gc", "run")
    assert "4 of 4 seen to" in done.stdout
    assert "the collector took 9 rows and 3 objects" in done.stdout


def test_where_nothing_is_left_over_that_is_said(registry: None, run: Run) -> None:
    done = run("gc", "run")
    assert (done.exit_code, done.stdout) == (0, "nothing is left over (5 pages)\n")


def test_what_is_found_beyond_a_thousand_is_only_counted(
    full: None, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gc, "_TOLD", 3)
    said = document(run("gc", "run", "--dry-run", "-o", "json").stdout)
    findings = said["findings"]
    assert isinstance(findings, list)
    assert (len(findings), said["and_more"]) == (3, 1)


def test_while_removal_is_halted_it_says_what_is_left(full: None, run: Run, memory: Memory) -> None:
    asyncio.run(memory.beside.put(keys.HALTED, b"", {"lost": "blobs"}))
    kept = memory.kept()
    done = run("gc", "run")
    assert done.exit_code == 1
    assert "4 are left, as that failed or removal is halted" in done.stdout
    assert memory.kept() == kept


def test_a_dry_run_tells_that_removal_is_halted(registry: None, run: Run, memory: Memory) -> None:
    assert document(run("gc", "run", "--dry-run", "-o", "json").stdout)["halted"] is False
    asyncio.run(memory.beside.put(keys.HALTED, b"", {"lost": "blobs"}))
    assert "nothing is removed for now" in run("gc", "run", "--dry-run").stdout
    assert document(run("gc", "run", "--dry-run", "-o", "json").stdout)["halted"] is True


def test_a_blob_and_a_manifest_are_explained(full: None, run: Run) -> None:
    used = run("gc", "explain", REPOSITORY, TWO[0].digest)
    assert used.exit_code == 0, used.output
    assert f"used by the manifest {IMAGE.digest}, which is there (tagged: latest)" in used.stdout
    unused = run("gc", "explain", f"{REPOSITORY}@{UNUSED[0].digest}")
    assert "goes, as nothing uses it" in unused.stdout
    manifest = run("gc", "explain", REPOSITORY, str(IMAGE.digest))
    assert "tags point to it: latest" in manifest.stdout


def test_programs_get_the_facts(full: None, run: Run) -> None:
    done = run("gc", "explain", REPOSITORY, TWO[0].digest, "-o", "json")
    facts = document(done.stdout)["facts"]
    assert isinstance(facts, dict)
    (user,) = facts["users"]["first"]
    assert (user["digest"], user["state"]) == (str(IMAGE.digest), "live")
    assert facts["blob"]["goes"] == []


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([REPOSITORY, "no-digest"], "is not a digest"),
        (["No/Name", str(IMAGE.digest)], "is not a repository name"),
        ([REPOSITORY, str(Digest.of(b"never"))], "there is nothing of sha256:"),
        (["no/where", str(IMAGE.digest)], "in no/where"),
    ],
)
def test_what_is_none_or_not_there_is_one_line(
    full: None, run: Run, memory: Memory, arguments: list[str], why: str
) -> None:
    kept = memory.kept()
    done = run("gc", "explain", *arguments)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("admin: ")
    assert why in done.stderr
    assert memory.kept() == kept


def test_a_command_leaves_the_grace_period_of_the_registry_as_it_is(
    registry: None, run: Run, memory: Memory, environment: dict[str, str]
) -> None:
    short = Grace(timedelta(seconds=400)).text()
    asyncio.run(memory.keep_registry(grace=short))
    for command in (["queue", "list"], ["gc", "run", "--dry-run"], ["gc", "run"]):
        assert run(*command).exit_code == 0
    row = memory.rows._tables[keys.REGISTRIES][keys.REGISTRY_PARTITION][NAME]
    assert row.values["grace"] == short
