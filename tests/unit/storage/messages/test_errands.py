import orjson
import pytest

from shared.errors import NameInvalid
from shared.model.names import RepositoryName
from shared.storage.messages.errands import NOWHERE, Errand, Kind


def message(kind: Kind, repository: str) -> bytes:
    fields = {"digest": "sha256:" + "0" * 64}
    return orjson.dumps({"kind": kind.value, "generation": "g", "repository": repository, **fields})


@pytest.mark.parametrize("name", ["team/app", NOWHERE])
def test_what_is_to_be_healed_may_be_nowhere(name: str) -> None:
    assert Errand.read(message(Kind.HEAL, name)).repository == RepositoryName(name)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.HEAL])
def test_all_else_is_done_in_a_repository(kind: Kind) -> None:
    with pytest.raises(NameInvalid):
        Errand.read(message(kind, NOWHERE))
