"""The simulation finds what is wrong: each of these faults breaks a promise in some order."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.services import garbage, pushes, repositories
from shared.services.blobs import Blobs
from shared.services.uploads import Uploads
from shared.storage import ports
from shared.storage.index import Index
from shared.storage.ports import ANY
from shared.storage.records import Link
from tests.simulation.explorer import Broken, explore
from tests.simulation.scenarios import PAIRS

type Plant = Callable[[pytest.MonkeyPatch], None]


def deletes_whatever_is_there(key: str, etag: str = ANY) -> ports.Delete:
    return ports.Delete(key)


def collector_ignores_etags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "Delete", deletes_whatever_is_there)


def retiring_ignores_etags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repositories, "Delete", deletes_whatever_is_there)


def index_row_goes_unconditionally(monkeypatch: pytest.MonkeyPatch) -> None:
    remove = Index.remove

    async def anyway(self: Index, repository: RepositoryName, _: str) -> bool:
        return await remove(self, repository, ANY)

    monkeypatch.setattr(Index, "remove", anyway)


def push_leaves_links_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    references = pushes._Attempt.references

    def edges_alone(self: Any) -> Iterator[list[Any]]:
        for steps in references(self):
            yield steps[1:]

    monkeypatch.setattr(pushes._Attempt, "references", edges_alone)


def head_renews_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def find(self: Blobs, repository: RepositoryName, digest: Digest) -> Link:
        return await self.link(repository, digest)

    monkeypatch.setattr(Blobs, "find", find)


def upload_shows_the_blob_first(monkeypatch: pytest.MonkeyPatch) -> None:
    show, link = Uploads._show, Uploads._link

    async def early(self: Any, repository: Any, digest: Any, content: Any) -> None:
        await link(self, repository, digest, content)
        await show(self, repository, digest, content)

    monkeypatch.setattr(Uploads, "_show", early)


FAULTS: dict[Plant, str] = {
    collector_ignores_etags: "a push of an old blob",
    push_leaves_links_alone: "a push of an old blob",
    head_renews_nothing: "a push after HEAD",
    upload_shows_the_blob_first: "an upload",
    retiring_ignores_etags: "retiring, and a warm push",
    index_row_goes_unconditionally: "retiring what is empty",
}


@pytest.mark.parametrize(
    ("plant", "name"), FAULTS.items(), ids=lambda it: getattr(it, "__name__", "")
)
def test_a_planted_fault_is_found(plant: Plant, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)

    with pytest.raises(Broken):
        explore(PAIRS[name], faults=True)
