from shared.model.names import RepositoryName
from shared.services.content.repositories import Repositories
from shared.storage.stores import Stores
from tests.unit.services.conftest import image_of, parts

TWO = parts(2)
IMAGE = image_of(TWO)


async def test_names_are_listed_a_page_at_a_time(
    stores: Stores, repositories: Repositories
) -> None:
    names = [RepositoryName(name) for name in ("a", "b", "c")]
    for name in names:
        await stores.index.add(name)
    page = await repositories.page("", 2)
    assert (page.items, page.has_more, page.last) == (["a", "b"], True, "b")
    page = await repositories.page("b", 2)
    assert (page.items, page.has_more) == (["c"], False)
    assert (await repositories.page("", 0)).items == []
