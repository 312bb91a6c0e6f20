import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName, Tag
from shared.storage import keys
from shared.storage.ports import Change, Delete, NotFound, Put, Row, Unavailable, Update
from shared.storage.rows.records import TagRecord, body_values
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.clock import Clock

A, B = RepositoryName("a"), RepositoryName("a/b")
AT = datetime(2024, 1, 1, tzinfo=UTC)
ONE, TWO, THREE = (Digest.of(content) for content in (b"1", b"2", b"3"))


def tag(name: str, digest: Digest, clock: Clock) -> Change:
    record = TagRecord(Tag(name), digest, "a/b", 7, clock(), clock())
    return Put(keys.tag(name), record.values())


def tagged(name: str, digest: Digest, life: str = "") -> Change:
    record = TagRecord(Tag(name), digest, "a/b", 7, AT, AT)
    return Put(keys.tagged(digest, Tag(name)), {**record.values(), "life": life})


def manifest(digest: Digest, life: str = "l") -> Change:
    values = {
        "life": life,
        "media_type": "a/b",
        "size": 7,
        "seen": AT,
        "pushed": AT,
        **body_values(b"body"),
    }
    return Put(keys.manifest(digest), values)


def edge(target: Digest, user: Digest, life: str = "l", names: str = "link") -> Change:
    return Put(keys.edge(target, user, life), {"names": names})


async def test_tags_are_listed_in_order_after_a_name(stores: Stores, clock: Clock) -> None:
    names = sorted(["1", "A", "_", "a", "a-b", "a.b", "aa", "b"])
    await stores.contents.commit(A, [tag(name, ONE, clock) for name in reversed(names)])
    await stores.contents.commit(A, [manifest(ONE), edge(ONE, TWO)])

    async def listed(after: str, limit: int) -> list[str]:
        return [str(record.name) for record in await stores.contents.tags(A, after, limit)]

    assert await listed("", 100) == names
    assert await listed("", 3) == names[:3]
    assert await listed("a", 100) == ["a-b", "a.b", "aa", "b"]
    assert await listed("~", 100) == []
    assert await stores.contents.tags(B, "", 100) == []


async def test_tags_are_found_by_what_they_point_to(stores: Stores) -> None:
    rows = [tagged("v1", ONE), tagged("v2", TWO), tagged("v3", ONE), tagged("v4", ONE, "old")]
    await stores.contents.commit(A, rows)
    assert [record.name for record in await stores.contents.tags_of(A, ONE, 10)] == ["v1", "v3"]
    assert [record.name for record in await stores.contents.tags_of(A, ONE, 1)] == ["v1"]
    assert [record.name for record in await stores.contents.tags_of(A, ONE, 9, "old")] == ["v4"]


async def test_a_manifest_is_read_with_its_body_or_without(stores: Stores) -> None:
    await stores.contents.commit(A, [manifest(ONE)])
    whole = await stores.contents.manifest(A, ONE, with_body=True)
    slim = await stores.contents.manifest(A, ONE, with_body=False)
    assert whole
    assert slim
    assert (whole.body, slim.body) == (b"body", None)
    assert [record.digest for record in await stores.contents.manifests(A, "", 10)] == [ONE]
    assert await stores.contents.manifest(B, ONE, with_body=True) is None


async def test_what_is_there_is_told_as_what_it_is_there(stores: Stores) -> None:
    rows = [manifest(TWO), Put(keys.blob(ONE), {"size": 1}), Put(keys.blob(TWO), {"size": 1})]
    await stores.contents.commit(A, rows)
    found = await stores.contents.found(A, {ONE: True, TWO: True, THREE: True})
    assert found == {ONE: ["link"], TWO: ["link", "child"], THREE: []}
    assert await stores.contents.found(A, {TWO: False}) == {TWO: ["link"]}
    assert await stores.contents.missing(A, [THREE, ONE]) == [THREE]


async def test_a_user_is_one_that_is_there(stores: Stores) -> None:
    rows = [edge(ONE, user, life) for user in (TWO, THREE) for life in ("l", "m")]
    await stores.contents.commit(A, [*rows, edge(TWO, THREE)])
    assert await stores.contents.user(A, ONE) is None
    await stores.contents.commit(A, [Put(keys.build(THREE, "m"), {})])
    assert await stores.contents.user(A, ONE) == THREE
    await stores.contents.commit(A, [manifest(TWO), Delete(keys.build(THREE, "m"))])
    assert await stores.contents.user(A, ONE) == TWO
    assert await stores.contents.user(A, TWO) is None


async def test_users_are_found_behind_many_that_are_gone(stores: Stores) -> None:
    for start in (0, 100, 200):
        rows = [edge(ONE, TWO, f"{life:04}") for life in range(start, start + 100)]
        await stores.contents.commit(A, rows)
    await stores.contents.commit(A, [manifest(TWO, "0299")])
    assert await stores.contents.user(A, ONE) == TWO
    assert await stores.contents.is_linked(A, ONE)


@pytest.mark.parametrize(
    ("names", "life", "is_linked"),
    [("link", "l", True), ("child", "l", False), ("", "l", False), ("link", "old", False)],
)
async def test_a_blob_is_linked_by_what_is_there_and_names_it_a_blob(
    stores: Stores, names: str, life: str, is_linked: bool
) -> None:
    await stores.contents.commit(A, [manifest(TWO), edge(ONE, TWO, life, names)])
    assert await stores.contents.is_linked(A, ONE) is is_linked


async def test_a_life_is_known_from_its_beginning_until_it_is_purged(stores: Stores) -> None:
    assert not await stores.contents.has_life(A, ONE, "l")
    for row in (Put(keys.build(ONE, "l"), {}), manifest(ONE), Put(keys.deleted(ONE, "l"), {})):
        await stores.contents.commit(A, [row])
        assert await stores.contents.has_life(A, ONE, "l")
        assert not await stores.contents.has_life(A, ONE, "m")
        await stores.contents.commit(A, [Delete(row.key)])


async def test_edges_of_a_life_are_read_as_far_as_they_are_there(stores: Stores) -> None:
    await stores.contents.commit(A, [edge(ONE, TWO), edge(THREE, TWO, "m")])
    (row,) = await stores.contents.edges_from(A, TWO, "l", [ONE, THREE])
    assert (row.key, row.values["names"]) == (keys.edge(ONE, TWO, "l"), "link")
    assert row.etag


async def test_referrers_are_listed_by_subject_and_type(stores: Stores) -> None:
    rows = [
        Put(keys.referrer(ONE, TWO), {"artifact_type": "x"}),
        Put(keys.referrer(ONE, THREE), {"artifact_type": "y"}),
        Put(keys.referrer(TWO, ONE), {"artifact_type": "x"}),
    ]
    await stores.contents.commit(A, rows)

    async def listed(artifact_type: str = "", after: str = "") -> list[str]:
        found = await stores.contents.referrers(
            A, ONE, artifact_type=artifact_type, after=after, limit=10
        )
        return [keys.last_part(row.key) for row in found]

    both = sorted([str(TWO), str(THREE)])
    assert await listed() == both
    assert await listed("x") == [str(TWO)]
    assert await listed(after=both[0]) == both[1:]


async def test_a_change_that_fails_tells_its_place_and_leaves_nothing(stores: Stores) -> None:
    with pytest.raises(NotFound) as caught:
        await stores.contents.commit(A, [manifest(ONE), Update(keys.blob(TWO), {})])
    assert caught.value.index == 1
    assert await stores.contents.missing(A, [ONE]) == [ONE]
    assert not await stores.contents.exists(A)


async def test_many_rows_are_read_a_few_at_once(
    stores: Stores, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task for each of some thousand references is megabytes, for each push of such."""
    get, tasks = memory.rows.get, 0

    async def counted(*arguments: Any) -> Row | None:
        nonlocal tasks
        tasks = max(tasks, len(asyncio.all_tasks()))
        await asyncio.sleep(0)
        return await get(*arguments)

    monkeypatch.setattr(memory.rows, "get", counted)
    wanted = [Digest.of(str(number).encode()) for number in range(500)]
    await stores.contents.commit(A, [manifest(wanted[499])])
    assert await stores.contents.missing(A, wanted) == wanted[:499]
    assert tasks < 30


async def test_nothing_more_is_read_once_a_read_has_failed(
    stores: Stores, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0

    async def failing(*_: Any) -> Row | None:
        nonlocal reads
        reads += 1
        await asyncio.sleep(0)
        raise Unavailable("busy")

    monkeypatch.setattr(memory.rows, "get", failing)
    with pytest.raises(Unavailable):
        await stores.contents.missing(A, [Digest.of(b"%d" % number) for number in range(500)])
    await asyncio.sleep(0.01)
    assert reads < 30
