import pytest

from shared.model.names import RepositoryName
from shared.storage.stores import Stores

NAMES = [RepositoryName(name) for name in ("a", "a-b", "a.b", "a/b", "a0", "aa", "b")]
A = NAMES[0]


async def test_names_are_listed_in_order_after_a_name(stores: Stores) -> None:
    for name in reversed(NAMES):
        await stores.index.add(name)
    assert await stores.index.page("", 100) == NAMES
    assert await stores.index.page("", 2) == NAMES[:2]
    assert await stores.index.page("a.b", 2) == NAMES[3:5]
    assert await stores.index.page("b", 2) == []


@pytest.mark.parametrize("after", ["a+", "a!", "a$", "a ", "a\t", "a,b", "a(", "a\0"])
async def test_a_name_that_cannot_be_has_its_place_all_the_same(stores: Stores, after: str) -> None:
    for name in NAMES:
        await stores.index.add(name)
    assert await stores.index.page(after, 100) == [name for name in NAMES if name > after]


async def test_a_name_that_is_hidden_is_left_out_of_every_page(stores: Stores) -> None:
    for name in NAMES:
        await stores.index.add(name, is_listed=name not in NAMES[1:5])
    assert await stores.index.page("", 100) == [A, *NAMES[5:]]
    assert await stores.index.page("", 2) == [A, NAMES[5]]
    assert await stores.index.page("", 1) == [A]
    assert await stores.index.page("a", 1) == [NAMES[5]]


async def test_a_name_that_is_hidden_stays_so_until_it_is_shown(stores: Stores) -> None:
    await stores.index.add(A)
    listed = await stores.index.etag(A)
    assert await stores.index.show(A, listed, is_listed=False)
    assert not await stores.index.show(A, listed, is_listed=True)
    await stores.index.add(A)
    assert await stores.index.page("", 1) == []
    assert await stores.index.show(A, await stores.index.etag(A), is_listed=True)
    assert await stores.index.page("", 1) == [A]
    assert not await stores.index.show(NAMES[1], "none", is_listed=True)


async def test_a_name_is_struck_off_if_nothing_has_changed(stores: Stores) -> None:
    await stores.index.add(A)
    assert await stores.index.remove(A, await stores.index.etag(A))
    assert await stores.index.page("", 1) == []


async def test_a_name_listed_anew_stays(stores: Stores) -> None:
    await stores.index.add(A)
    etag = await stores.index.etag(A)
    await stores.index.add(A)
    assert not await stores.index.remove(A, etag)
    assert await stores.index.page("", 1) == [A]


async def test_a_name_that_was_not_listed_but_is_now_stays(stores: Stores) -> None:
    etag = await stores.index.etag(A)
    await stores.index.add(A)
    assert not await stores.index.remove(A, etag)
    assert await stores.index.page("", 1) == [A]


async def test_a_name_struck_off_by_another_is_struck_off(stores: Stores) -> None:
    await stores.index.add(A)
    etag = await stores.index.etag(A)
    assert await stores.index.remove(A, etag)
    assert await stores.index.remove(A, etag)
    assert await stores.index.remove(A, await stores.index.etag(A))
