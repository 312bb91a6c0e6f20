import pytest

from shared.errors import NameUnknown
from shared.model.attributes import Wanted
from shared.model.names import Tag
from shared.services.attributes.changes import AttributeChanges
from shared.services.content.pushes import Pushes
from shared.services.content.tags import Tags
from shared.storage.stores import Stores
from tests.support.causes import ME
from tests.unit.services.conftest import REPOSITORY, hold, image_of, parts

HIDDEN = Wanted(list_enabled=False)


async def test_tags_are_listed_a_page_at_a_time(stores: Stores, pushes: Pushes) -> None:
    contents = parts(1)
    await hold(stores, *contents)
    await pushes.put(REPOSITORY, image_of(contents), [Tag(name) for name in "cab"], by=ME)
    tags = Tags(stores)
    page = await tags.page(REPOSITORY, "", 2)
    assert (page.items, page.has_more, page.last) == (["a", "b"], True, "b")
    page = await tags.page(REPOSITORY, "b", 2)
    assert (page.items, page.has_more) == (["c"], False)
    for after, limit in (("c", 2), ("", 0)):
        page = await tags.page(REPOSITORY, after, limit)
        assert (page.items, page.has_more) == ([], False)


async def test_tags_that_are_hidden_are_left_out(
    stores: Stores, pushes: Pushes, attributes: AttributeChanges
) -> None:
    contents = parts(1)
    await hold(stores, *contents)
    await pushes.put(REPOSITORY, image_of(contents), [Tag(name) for name in "abcd"], by=ME)
    tags = Tags(stores)
    for name in "ac":
        await attributes.tag(REPOSITORY, Tag(name), HIDDEN)
    page = await tags.page(REPOSITORY, "", 1)
    assert (page.items, page.has_more) == (["b"], True)
    assert (await tags.page(REPOSITORY, "b", 1)).items == ["d"]
    for name in "bd":
        await attributes.tag(REPOSITORY, Tag(name), HIDDEN)
    page = await tags.page(REPOSITORY, "", 1)
    assert (page.items, page.has_more) == ([], False)


@pytest.mark.parametrize("limit", [0, 1])
async def test_a_repository_that_is_not_there_is_unknown(stores: Stores, limit: int) -> None:
    with pytest.raises(NameUnknown) as caught:
        await Tags(stores).page(REPOSITORY, "", limit)
    assert caught.value.detail == {"name": REPOSITORY}
