"""Pages against a model: the sorted names that follow `last`, cut at `n`."""

import asyncio
from collections.abc import Coroutine
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from shared.model.digest import Digest
from shared.model.names import RepositoryName, Tag
from shared.services.content.repositories import Repositories
from shared.services.content.tags import Tags
from shared.storage import keys
from shared.storage.bodies import Bodies
from shared.storage.ports import Put
from shared.storage.rows.records import TagRecord
from shared.storage.stores import Stores
from shared.wire.paging import _plain
from tests.property.strategies import NAMES, TAGS
from tests.support.app import Memory
from tests.support.clock import Clock, Ids
from tests.support.pauses import no_pause

REPOSITORY = RepositoryName("team/app")
LASTS = st.one_of(st.just(""), NAMES, TAGS, st.text(max_size=5), st.text("a-./+!$0_", max_size=5))
LIMITS = st.one_of(st.integers(0, 5), st.just(1_000))


def stores_over(memory: Memory) -> Stores:
    return Stores.over(
        memory.rows,
        memory.objects,
        memory.messages,
        "g",
        beside=memory.beside,
        bodies=Bodies(0),
        clock=Clock(),
        new_id=Ids(),
        pause=no_pause,
    )


def run[Result](work: Coroutine[object, object, Result]) -> Result:
    return asyncio.run(work)


@given(st.lists(NAMES, max_size=12), LASTS, LIMITS)
def test_the_catalog_is_its_model(names: list[str], last: str, limit: int) -> None:
    async def listed() -> tuple[list[str], bool]:
        stores = stores_over(await Memory().prepare())
        for name in names:
            await stores.index.add(RepositoryName(name))
        page = await Repositories(stores).page(last, limit)
        return list(page.items), page.has_more

    following = sorted({name for name in names if name > last})
    assert run(listed()) == (following[:limit], bool(limit) and len(following) > limit)


@given(st.lists(st.one_of(NAMES, TAGS), max_size=12), LASTS)
def test_a_last_of_visible_characters_is_followed_by_the_same(names: list[str], last: str) -> None:
    plain = _plain(last)
    assert all("!" <= character <= "~" for character in plain)
    assert [name for name in names if name > plain] == [name for name in names if name > last]


async def tag_all(stores: Stores, tags: list[str]) -> None:
    now = stores.clock()
    for tag in tags:
        values = TagRecord(Tag(tag), Digest.of(b""), "a/b", 1, now, now).values()
        await stores.contents.commit(REPOSITORY, [Put(keys.tag(Tag(tag)), values)])
    await stores.contents.commit(REPOSITORY, [Put(keys.WRITABLE, {})])


@given(st.lists(TAGS, max_size=12), LASTS, LIMITS)
def test_a_list_of_tags_is_its_model(tags: list[str], last: str, limit: int) -> None:
    async def listed() -> tuple[list[str], bool]:
        stores = stores_over(await Memory().prepare())
        await tag_all(stores, tags)
        page = await Tags(stores).page(REPOSITORY, last, limit)
        return list(page.items), page.has_more

    following = sorted({tag for tag in tags if tag > last})
    assert run(listed()) == (following[:limit], bool(limit) and len(following) > limit)


@given(st.lists(TAGS, max_size=12), st.integers(1, 5))
def test_following_the_pages_finds_each_tag_once(tags: list[str], limit: int) -> None:
    async def walked() -> list[str]:
        stores = stores_over(await Memory().prepare())
        await tag_all(stores, tags)
        found: list[str] = []
        last = ""
        for _ in count():
            page = await Tags(stores).page(REPOSITORY, last, limit)
            found += page.items
            if not page.has_more:
                break
            last = page.last
        return found

    assert run(walked()) == sorted(set(tags))
