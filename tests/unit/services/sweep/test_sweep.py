"""The sweep as a whole: pages, positions, and a registry at work under it."""

from collections.abc import Awaitable, Callable

import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName, Tag
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.content.uploads import Uploads
from shared.services.deletions.restores import Restores
from shared.services.sweep import sweep as module
from shared.services.sweep.findings import Finding, What
from shared.services.sweep.sweep import Sweep
from shared.storage import keys
from shared.storage.ages import L
from shared.storage.ports import RowsPage
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.unit.services.conftest import GRACE, LATEST, REPOSITORY, Before, hold, image_of, parts
from tests.unit.services.content.test_uploads import part
from tests.unit.services.sweep.conftest import OLD, Settle, whole_round

TWO = parts(2)
IMAGE, OTHER = image_of(TWO), image_of(TWO[:1])
REPOSITORIES = [RepositoryName(name) for name in ("a", "a-b", "a/b", "b", "team/app")]


@pytest.fixture
async def full(stores: Stores, pushes: Pushes, settle: Settle, clock: Clock) -> None:
    """Some repositories; each holds a blob that nothing uses, and has left some objects."""
    for repository in REPOSITORIES:
        await hold(stores, *TWO, *parts(1, repository), repository=repository)
        await pushes.put(repository, IMAGE, [LATEST], by=ME)
    await settle()
    clock.now += 2 * GRACE


def unused(findings: list[Finding]) -> list[str]:
    return [finding.where for finding in findings if finding.what is What.LINK]


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
async def test_a_round_goes_through_all_in_pages_of_any_size(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(module, "_PAGE", size)
    assert unused(await whole_round(sweep, is_dry=True)) == REPOSITORIES
    assert unused(await whole_round(sweep)) == REPOSITORIES
    assert await whole_round(sweep) == []


@pytest.mark.usefixtures("full")
async def test_it_goes_on_where_it_was_and_begins_anew(
    sweep: Sweep, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAGE", 10)
    found: list[Finding] = []
    positions: list[str] = []
    while not positions or positions[-1]:
        swept = await sweep.go_on()
        found += swept.findings
        positions.append(swept.position)
        assert (await stores.walks.saved()).position == swept.position
    assert unused(found) == REPOSITORIES
    assert len(positions) == len(set(positions)) > 10
    assert (await sweep.go_on()).position == positions[0]


@pytest.mark.usefixtures("full")
async def test_a_position_of_another_version_begins_anew(sweep: Sweep, stores: Stores) -> None:
    await stores.walks.save(await stores.walks.saved(), "a walk that was|its position")
    assert (await sweep.go_on()).position == (await sweep.sweep(is_dry=True)).position


@pytest.mark.usefixtures("full")
async def test_two_that_sweep_at_once_do_a_page_twice(
    sweep: Sweep, stores: Stores, memory: Memory, before: Before
) -> None:
    first = await sweep.go_on()
    at = await sweep.sweep(first.position, is_dry=True)

    async def go_on() -> None:
        await sweep.go_on()

    before(memory.rows, "commit", go_on)
    assert (await sweep.go_on()).position == at.position
    assert (await stores.walks.saved()).position == at.position


@pytest.mark.usefixtures("full")
async def test_pages_may_be_empty_and_go_on(
    sweep: Sweep, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = memory.rows.page

    async def halting(table: str, **options: str | int) -> object:
        """Give nothing every other time."""
        position = str(options["position"])
        if not position.startswith("again "):
            return RowsPage([], f"again {position}")
        return await page(table, **{**options, "position": position[6:]})  # type: ignore[arg-type]

    monkeypatch.setattr(memory.rows, "page", halting)
    assert unused(await whole_round(sweep)) == REPOSITORIES


async def test_another_generation_is_none_of_ours(
    sweep: Sweep, stores: Stores, memory: Memory, clock: Clock
) -> None:
    await hold(stores, *TWO)
    tables = memory.rows._tables
    for table in (keys.CONTENTS, keys.BLOBS):
        for partition, rows in [*tables[table].items()]:
            tables[table][partition.replace("g" * 32, "h" * 32)] = rows
            del tables[table][partition]
    memory.objects._container.objects.clear()  # type: ignore[union-attr]
    clock.now += 9 * GRACE
    kept = memory.kept()
    assert await whole_round(sweep) == []
    assert memory.kept() == kept


@pytest.mark.usefixtures("full")
async def test_a_registry_where_all_is_in_use_costs_little(
    sweep: Sweep, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    await whole_round(sweep)
    calls: list[str] = []
    for name in ("get", "scan", "page", "commit"):
        _count(memory, name, calls, monkeypatch)
    assert await whole_round(sweep) == []
    pages, manifests, links, contents = 4, len(REPOSITORIES), 2 * len(REPOSITORIES), 2
    bodies = 2 * len(REPOSITORIES)
    assert len(calls) == pages + manifests + links + contents + bodies


def _count(memory: Memory, name: str, calls: list[str], patch: pytest.MonkeyPatch) -> None:
    original: Callable[..., Awaitable[object]] = getattr(memory.rows, name)

    async def counted(*arguments: object, **options: object) -> object:
        calls.append(name)
        return await original(*arguments, **options)

    patch.setattr(memory.rows, name, counted)


LIVES = ("manifest|", "deleted|", "build|", "writable")

type Deed = Callable[["Registry"], Awaitable[object]]


class Registry:
    """The services of a registry at work."""

    def __init__(
        self,
        pushes: Pushes,
        manifests: Manifests,
        uploads: Uploads,
        restores: Restores,
        stores: Stores,
    ) -> None:
        self.pushes, self.manifests, self.uploads = pushes, manifests, uploads
        self.restores, self.stores = restores, stores

    async def push(self) -> None:
        await self.pushes.put(REPOSITORY, OTHER, [LATEST, Tag("v1")], by=ME)

    async def first_push(self) -> None:
        await hold(self.stores, *TWO, repository=REPOSITORIES[0])
        await self.pushes.put(REPOSITORIES[0], IMAGE, [LATEST], by=ME)

    async def delete(self) -> None:
        await self.manifests.delete(REPOSITORY, IMAGE.digest, by=ME)

    async def upload(self) -> None:
        content = b"new"
        upload = self.uploads.start()
        await self.uploads.commit(REPOSITORY, upload, Digest.of(content), part(content))

    async def restore(self) -> None:
        (one,) = await self.stores.deleted.page(REPOSITORY, "", 9)
        await self.restores.manifest(REPOSITORY, one.manifest.digest, one.manifest.life, by=ME)


@pytest.fixture
async def at_work(
    pushes: Pushes,
    manifests: Manifests,
    uploads: Uploads,
    restores: Restores,
    stores: Stores,
    settle: Settle,
    clock: Clock,
) -> Registry:
    """A registry in which a manifest is live, another can come back, and all of it is old."""
    await hold(stores, *TWO)
    for number in range(2):
        image = image_of(TWO, annotations={"n": str(number)})
        await pushes.put(REPOSITORY, image, [Tag(f"n{number}")], by=ME)
    await manifests.delete(REPOSITORY, image.digest, by=ME)
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    await settle()
    clock.now += OLD
    return Registry(pushes, manifests, uploads, restores, stores)


DEEDS = [
    Registry.push,
    Registry.first_push,
    Registry.delete,
    Registry.upload,
    Registry.restore,
]


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__)
@pytest.mark.parametrize("at", [1, 2, 3, 4])
async def test_what_is_under_way_is_left_alone(
    at: int,
    deed: Deed,
    at_work: Registry,
    sweep: Sweep,
    memory: Memory,
    settle: Settle,
    before: Before,
) -> None:
    """A round between any two writes. A restore does not look whether anything is kept still."""
    found: list[Finding] = []

    async def round_() -> None:
        found.extend(await whole_round(sweep))

    before(memory.rows, "commit", round_, at)
    await deed(at_work)
    assert found == []
    await settle()
    memory.clock.now += 2 * L
    left = [finding.what for finding in await whole_round(sweep)]
    assert left == ([What.KEPT_FOR_NOTHING] if deed is Registry.restore else [])


async def test_while_removers_are_halted_no_row_goes_for_want_of_another(
    at_work: Registry, sweep: Sweep, stores: Stores, memory: Memory, settle: Settle, clock: Clock
) -> None:
    """Rows come back one after the other: what uses a blob, before what tells that it is there."""
    rows = memory.rows._tables[keys.CONTENTS]
    lost = {
        partition: {key: row for key, row in there.items() if key.startswith(LIVES)}
        for partition, there in rows.items()
    }
    for partition, there in lost.items():
        for key in there:
            del rows[partition][key]
    await stores.halt.put([keys.CONTENTS])
    kept = memory.kept()
    await whole_round(sweep)
    await settle()
    assert memory.kept() == kept

    for partition, there in lost.items():
        rows[partition].update(there)
    await stores.halt.lift()
    await whole_round(sweep)
    await settle()
    assert await whole_round(sweep, is_dry=True) == []
