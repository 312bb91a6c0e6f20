from datetime import UTC, datetime

import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName, Tag
from shared.storage import keys
from shared.storage.ports import Change, Insert, NotFound, Put, Update, Value
from shared.storage.rows.records import TagRecord, body_values
from shared.storage.stores import Stores
from tests.support.clock import Clock

A, B = RepositoryName("a"), RepositoryName("a/b")
AT = datetime(2024, 1, 1, tzinfo=UTC)
ONE, TWO, THREE = (Digest.of(content) for content in (b"1", b"2", b"3"))


def tag(name: str, digest: Digest, clock: Clock) -> Change:
    record = TagRecord(Tag(name), digest, "a/b", 7, clock(), clock())
    return Put(keys.tag(name), record.values())


def manifest(digest: Digest) -> Change:
    values = {"media_type": "a/b", "size": 7, "seen": AT, **body_values(b"body")}
    return Put(keys.manifest(digest), values)


async def test_tags_are_listed_in_order_after_a_name(stores: Stores, clock: Clock) -> None:
    names = sorted(["1", "A", "_", "a", "a-b", "a.b", "aa", "b"])
    await stores.contents.commit(A, [tag(name, ONE, clock) for name in reversed(names)])
    await stores.contents.commit(A, [manifest(ONE), Put(keys.edge(ONE, TWO), {})])

    async def listed(after: str, limit: int) -> list[str]:
        return [str(record.name) for record in await stores.contents.tags(A, after, limit)]

    assert await listed("", 100) == names
    assert await listed("", 3) == names[:3]
    assert await listed("a", 100) == ["a-b", "a.b", "aa", "b"]
    assert await listed("~", 100) == []
    assert await stores.contents.tags(B, "", 100) == []


async def test_tags_are_found_by_what_they_point_to(stores: Stores, clock: Clock) -> None:
    changes = [tag("v1", ONE, clock), tag("v2", TWO, clock), tag("v3", ONE, clock)]
    await stores.contents.commit(A, changes)
    assert [record.name for record in await stores.contents.tags_of(A, ONE, 10)] == ["v1", "v3"]
    assert [record.name for record in await stores.contents.tags_of(A, ONE, 1)] == ["v1"]


async def test_a_manifest_is_read_with_its_body_or_without(stores: Stores) -> None:
    await stores.contents.commit(A, [manifest(ONE)])
    whole = await stores.contents.manifest(A, ONE, with_body=True)
    slim = await stores.contents.manifest(A, ONE, with_body=False)
    assert whole
    assert slim
    assert (whole.body, slim.body) == (b"body", None)
    assert [record.digest for record in await stores.contents.manifests(A, "", 10)] == [ONE]
    assert await stores.contents.manifest(B, ONE, with_body=True) is None


async def test_what_is_missing_is_told_in_the_order_asked(stores: Stores) -> None:
    await stores.contents.commit(A, [manifest(TWO), Put(keys.blob(ONE), {"size": 1})])
    assert await stores.contents.missing(A, [ONE, TWO, THREE], [ONE, TWO]) == [TWO, THREE, ONE]
    assert await stores.contents.missing(A, [ONE], [TWO]) == []


async def test_users_of_a_blob_are_listed(stores: Stores) -> None:
    await stores.contents.commit(A, [Put(keys.edge(ONE, user), {}) for user in (TWO, THREE)])
    assert len(await stores.contents.edges(A, ONE, 10)) == 2
    assert len(await stores.contents.edges(A, ONE, 1)) == 1
    assert await stores.contents.user(A, ONE) is None
    assert not await stores.contents.is_linked(A, ONE)
    record: dict[str, Value] = {"media_type": "a/b", "size": 1, "seen": stores.clock()}
    await stores.contents.commit(A, [Insert(keys.manifest(THREE), record)])
    assert await stores.contents.user(A, ONE) == THREE
    assert await stores.contents.is_linked(A, ONE)
    assert await stores.contents.user(A, TWO) is None


async def test_edges_of_a_manifest_are_read_as_far_as_they_are_there(stores: Stores) -> None:
    await stores.contents.commit(A, [Put(keys.edge(ONE, TWO), {"seen": AT})])
    (row,) = await stores.contents.edges_from(A, TWO, [ONE, THREE])
    assert (row.key, row.values["seen"]) == (keys.edge(ONE, TWO), AT)
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
    assert await stores.contents.missing(A, [], [ONE]) == [ONE]
    assert not await stores.contents.exists(A)
