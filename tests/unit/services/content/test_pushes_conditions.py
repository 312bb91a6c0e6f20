import asyncio

import pytest

from shared.errors import PreconditionFailed
from shared.model.digest import Digest
from shared.services.content.pushes import Condition, Pushed, Pushes
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.unit.services.conftest import LATEST, REPOSITORY, hold, image_of, parts

TWO = parts(2)

CONDITIONS = [
    ("none", Condition(), True, True),
    ("a new tag", Condition(is_new=True), True, False),
    ("any tag", Condition(frozenset("*")), False, True),
    ("this digest", Condition(frozenset({str(image_of(TWO).digest), "x"})), False, True),
    ("another digest", Condition(frozenset({str(Digest.of(b"another"))})), False, False),
    ("no digest", Condition(frozenset()), False, False),
]


@pytest.mark.parametrize("is_known", [True, False], ids=["hinted", "unhinted"])
@pytest.mark.parametrize(
    ("condition", "if_absent", "if_there"),
    [case[1:] for case in CONDITIONS],
    ids=[case[0] for case in CONDITIONS],
)
async def test_a_condition_holds_or_the_push_fails(
    stores: Stores,
    pushes: Pushes,
    memory: Memory,
    condition: Condition,
    if_absent: bool,
    if_there: bool,
    is_known: bool,
) -> None:
    await hold(stores, *TWO)
    newer = image_of(TWO, annotations={})
    for is_met in (if_absent, if_there):
        kept = memory.kept()
        service = pushes if is_known else Pushes(stores, is_sparse_allowed=False)
        if is_met:
            await service.put(REPOSITORY, newer, [LATEST], by=ME, condition=condition)
        else:
            with pytest.raises(PreconditionFailed):
                await service.put(REPOSITORY, newer, [LATEST], by=ME, condition=condition)
            assert memory.kept() == kept
        await pushes.put(REPOSITORY, image_of(TWO), [LATEST], by=ME)


async def test_of_two_pushes_of_a_new_tag_one_wins(stores: Stores, pushes: Pushes) -> None:
    await hold(stores, *TWO)
    images = [image_of(TWO, annotations={"number": str(n)}) for n in range(5)]
    outcomes = await asyncio.gather(
        *(
            pushes.put(REPOSITORY, image, [LATEST], by=ME, condition=Condition(is_new=True))
            for image in images
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, Pushed) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, PreconditionFailed) for outcome in outcomes) == 4
