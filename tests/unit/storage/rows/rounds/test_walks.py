import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.storage import keys
from shared.storage.ports import POSITION_CHARACTERS, VALUE_BYTES, Put, Value
from shared.storage.rows.holdings import Content
from shared.storage.rows.rounds.walks import Saved
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.unit.conftest import GENERATION

NAMES = [RepositoryName(name) for name in ("a", "a-b", "a/b", "zz")]
DIGESTS = sorted([Digest.of(b"one"), Digest.of(b"two", "sha512")], key=str)


@pytest.fixture(autouse=True)
async def others(prepared: Memory) -> None:
    """Rows of other generations, around ours."""
    for generation in ("f" * 32, "h" * 32):
        for table in (keys.CONTENTS, keys.BLOBS):
            await prepared.rows.commit(table, f"{generation}|x", [Put("k", {})])
        for partition in (generation, keys.kept_names(generation)):
            await prepared.rows.commit(keys.REPOSITORIES, partition, [Put("x", {})])


async def test_rows_of_repositories_come_with_their_names_and_without_bodies(
    stores: Stores,
) -> None:
    values: dict[str, Value] = {"life": "l", "body0": b"large", "seen": stores.clock()}
    for name in NAMES:
        await stores.contents.commit(name, [Put("manifest|x", values), Put("writable", {})])
    found = []
    position = ""
    while True:
        stretch = await stores.walks.contents(position, 3)
        found += [(name, row.key, dict(row.values)) for name, row in stretch.rows]
        position = stretch.position
        if not position:
            break
    assert sorted({name for name, *_ in found}) == NAMES
    assert [key for _, key, _ in found] == ["manifest|x", "writable"] * len(NAMES)
    assert {"life": "l"} in [values for *_, values in found]
    assert all("body0" not in values for *_, values in found)


async def test_rows_of_blobs_come_with_their_digests(stores: Stores) -> None:
    for digest in DIGESTS:
        await stores.holdings.offer(digest, NAMES[0], Content("g/object", "etag", 1))
    stretch = await stores.walks.blobs("", 100)
    assert stretch.position == ""
    assert [digest for digest, _ in stretch.rows] == [it for it in DIGESTS for _ in range(3)]
    assert stretch.rows[0][1].values["object"] == "g/object"


async def test_lists_of_repositories_are_walked_apart(stores: Stores) -> None:
    for name in NAMES:
        await stores.index.add(name)
    etag = await stores.index.keep(NAMES[2])
    listed = await stores.walks.listed("", 100)
    assert sorted(name for name, _ in listed.rows) == NAMES
    kept = await stores.walks.kept("", 100)
    assert [(name, row.etag) for name, row in kept.rows] == [(NAMES[2], etag)]
    assert await stores.index.is_kept(NAMES[2])
    assert not await stores.index.is_kept(NAMES[0])


async def test_where_to_go_on_is_kept_for_one_of_those_who_do(stores: Stores) -> None:
    walks = stores.walks
    assert await walks.saved() == Saved()
    assert await walks.save(Saved(), "one")
    assert not await walks.save(Saved(), "another")
    saved = await walks.saved()
    assert saved.position == "one"
    assert await walks.save(saved, "two")
    assert not await walks.save(saved, "another")
    assert (await walks.saved()).position == "two"


async def test_it_is_kept_beside_the_registry_s_other_rows(
    stores: Stores, prepared: Memory
) -> None:
    await stores.walks.save(Saved(), "x" * POSITION_CHARACTERS)
    assert [*prepared.rows._tables[keys.REGISTRIES]] == [keys.sweep(GENERATION)]
    assert 2 * POSITION_CHARACTERS < VALUE_BYTES
