"""Locks, and tags that are written once: who meets them, in every order, with a crash anywhere.

And the rules, each taken out once: the simulation finds that.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.model.attributes import Attributes
from shared.model.names import RepositoryName, Tag
from shared.services.attributes import changes as attributes
from shared.services.attributes.locks import fixed
from shared.services.content import manifests, pushes
from shared.services.content.plans import Plan
from shared.services.content.pushes import Condition, Pushes
from shared.services.deletions import repositories
from shared.storage import keys
from shared.storage.ports import ANY, Change, Put, Update, Upsert
from shared.storage.rows import tags
from shared.storage.rows.index import Index
from shared.storage.rows.records import TagRecord
from shared.storage.rows.registries import Policies
from tests.simulation.explorer import Broken, Report, Scenario
from tests.simulation.explorer import explore as explore_all
from tests.simulation.manifests.locks import (
    HIDE,
    LOCK,
    PROTECT,
    UNLOCK,
    ChangeManifest,
    ChangeRepository,
    ChangeTag,
    DeleteIfAllowed,
    PushOnce,
    RestoreHidden,
    RestoreIfAllowed,
    UntagIfAllowed,
)
from tests.simulation.manifests.operations import DeleteRepository, PushAnyway
from tests.simulation.operations import LATEST, Delete, Push, Retire
from tests.simulation.scenarios import (
    BLOBS,
    EMPTY,
    ONE,
    TAGGED,
    TWO,
    V1,
    A,
    Past,
    X,
    Y,
    small,
)

type Explore = Callable[..., Report]
type Patch = pytest.MonkeyPatch

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
ONCE, FOR_EVER = (
    Policies(7, is_write_once=True),
    Policies(7, is_write_once=True, is_never_freed=True),
)


def under(past: Past, policies: Policies) -> Past:
    """Let the registry have policies from now on."""
    past.world.policies = policies
    past._process = past.world.process(0xAAAB)
    return past


KEPT = Past().held(A, X, Y).did(Push(A, TWO), Push(A, ONE, V1), Delete(A, ONE.digest))
LOCKED = Past().held(A, X, Y).did(Push(A, ONE), ChangeRepository(A, LOCK))
HIDDEN = (
    Past()
    .held(A, X, Y)
    .did(Push(A, TWO), Push(A, ONE, V1))
    .did(ChangeManifest(A, HIDE, ONE.digest), ChangeTag(A, HIDE), Delete(A, ONE.digest))
)
NEW_ONCE, NEW = under(Past().held(A, X, Y), ONCE), under(Past().held(A, X, Y), FOR_EVER)
BEFORE = under(Past().held(A, X, Y).did(Push(A, ONE), Push(A, ONE, V1)), FOR_EVER)
DELETED = under(Past().held(A, X, Y), FOR_EVER).did(
    Push(A, TWO), Push(A, ONE, V1), Delete(A, ONE.digest)
)

LOCK_A, LOCK_TAG = [ChangeRepository(A, LOCK)], [ChangeTag(A, LOCK)]
PROTECT_ONE = [ChangeManifest(A, PROTECT, ONE.digest)]
DELETE, UNTAG = [DeleteIfAllowed(A, ONE.digest)], [UntagIfAllowed(A, V1)]
MOVE = [PushAnyway(A, TWO, V1)]

LOCKS: Mapping[str, Scenario] = {
    "a lock, and a push": TAGGED.meets(LOCK_A, [PushAnyway(A, TWO)]),
    "a lock, and a push of the same": TAGGED.meets(LOCK_A, [PushAnyway(A, ONE)]),
    "a lock, and a deletion": TAGGED.meets(LOCK_A, DELETE),
    "a lock, and an untagging": TAGGED.meets(LOCK_A, UNTAG),
    "a lock, and a restore": KEPT.meets(LOCK_A, [RestoreIfAllowed(A, ONE.digest)]),
    "a lock, and the repository goes": TAGGED.meets(LOCK_A, [DeleteRepository(A)]),
    "a lock, and it retires": EMPTY.meets(LOCK_A, [Retire(A)]),
    "a lock, and a push long under way": BLOBS.meets(
        [PushAnyway(A, ONE)], [PushAnyway(A, TWO), *LOCK_A]
    ),
    "a lock that is taken off, and a push": LOCKED.meets(
        [ChangeRepository(A, UNLOCK)], [PushAnyway(A, TWO)]
    ),
    "a lock that comes and goes, and a push": TAGGED.meets(
        [*LOCK_A, ChangeRepository(A, UNLOCK)], [PushAnyway(A, TWO)]
    ),
    "two locks": TAGGED.meets(LOCK_A, [ChangeRepository(A, PROTECT)]),
    "a protected repository, and it goes": TAGGED.meets(
        [ChangeRepository(A, PROTECT)], [DeleteRepository(A)]
    ),
    "one is hidden, retires, and is pushed to": TAGGED.meets(
        [ChangeRepository(A, HIDE), *DELETE, Retire(A), PushAnyway(A, TWO)]
    ),
    "one is hidden, or retires, and is pushed to": EMPTY.meets(
        [ChangeRepository(A, HIDE)], [Retire(A), PushAnyway(A, TWO)]
    ),
    "a locked tag, and it moves": TAGGED.meets(LOCK_TAG, MOVE),
    "a protected tag, and it moves": TAGGED.meets([ChangeTag(A, PROTECT)], MOVE),
    "a locked tag, and it goes": TAGGED.meets(LOCK_TAG, UNTAG),
    "a locked tag, and its manifest goes": TAGGED.meets(LOCK_TAG, DELETE),
    "a locked tag, and the repository goes": TAGGED.meets(LOCK_TAG, [DeleteRepository(A)]),
    "a locked manifest, and it goes": TAGGED.meets(PROTECT_ONE, DELETE),
    "a locked manifest, and the repository goes": TAGGED.meets(PROTECT_ONE, [DeleteRepository(A)]),
    "a locked manifest, and its tag moves": TAGGED.meets(PROTECT_ONE, MOVE),
    "what was hidden comes back": HIDDEN.meets([RestoreHidden(A, ONE.digest)]),
}
"""A lock comes, and something that it forbids."""

WRITTEN_ONCE: Mapping[str, Scenario] = {
    "two first pushes of a tag": NEW_ONCE.meets([PushOnce(A, ONE)], [PushOnce(A, TWO)]),
    "two first pushes of a name": NEW.meets([PushOnce(A, ONE)], [PushOnce(A, TWO)]),
    "two equal first pushes of a name": NEW.meets([PushOnce(A, ONE)], [PushOnce(A, ONE)]),
    "a name is used, freed and used": NEW.meets(
        [PushOnce(A, ONE), UntagIfAllowed(A, LATEST)], [PushOnce(A, TWO)]
    ),
    "a tag of before goes, and its name comes": BEFORE.meets(UNTAG, [PushOnce(A, TWO, V1)]),
    "a tag of before goes, and comes": BEFORE.meets(UNTAG, [PushOnce(A, ONE, V1)]),
    "a manifest of before goes, and a name comes": BEFORE.meets(DELETE, [PushOnce(A, TWO, V1)]),
    "a repository of before goes, and a name comes": BEFORE.meets(
        [DeleteRepository(A)], [PushOnce(A, TWO, V1)]
    ),
    "a manifest comes back, and its name is pushed": DELETED.meets(
        [RestoreIfAllowed(A, ONE.digest)], [PushOnce(A, TWO, V1)]
    ),
}
"""A tag that is written once, or a name that is never used again."""

LARGE: Mapping[str, Scenario] = {
    "a lock, and a large push": TAGGED.meets(LOCK_A, [PushAnyway(A, TWO)]),
    "a locked tag, and its manifest goes step by step": TAGGED.meets(LOCK_TAG, DELETE),
    "a locked manifest, and it goes step by step": TAGGED.meets(PROTECT_ONE, DELETE),
    "a manifest of before goes step by step, and a name comes": BEFORE.meets(
        DELETE, [PushOnce(A, ONE, V1)]
    ),
}
"""The same over several transactions."""

SCENARIOS = {**LOCKS, **WRITTEN_ONCE}
BIG = {
    "a lock, and a restore",
    "a lock, and a push long under way",
    "one is hidden, or retires, and is pushed to",
    "a manifest comes back, and its name is pushed",
    "a manifest of before goes step by step, and a name comes",
}
"""These are tried without a crash alone: with one they take too long, or wait for an unlocking."""


@pytest.mark.parametrize("name", SCENARIOS)
def test_two_meet(name: str, explore: Explore) -> None:
    explore(SCENARIOS[name], faults=name not in BIG)


@pytest.mark.parametrize("name", LARGE)
def test_two_meet_over_several_transactions(name: str, explore: Explore) -> None:
    with small():
        explore(LARGE[name], faults=name not in BIG)


def lock_leaves_writable(patch: Patch) -> None:
    patch.setattr(attributes, "Delete", lambda key: Update(key, {}))


def lock_goes_by_no_etag(patch: Patch) -> None:
    def blind(key: str, values: Mapping[str, Any], etag: str = ANY) -> Update:
        return Update(key, values, ANY if key == keys.REPOSITORY else etag)

    patch.setattr(attributes, "Update", blind)


def lock_of_a_tag_is_in_one_row(patch: Patch) -> None:
    def allow(there: TagRecord, wanted: Attributes) -> Iterable[Change]:
        yield Update(keys.tag(there.name), wanted.values(), there.etag)

    patch.setattr(tags, "allow", allow)


class Overlooked(Exception):
    """A lock that is not heeded."""


def move_heeds_no_lock(patch: Patch) -> None:
    look = Pushes._look_at_tags

    async def overlook(self: Pushes, plan: Plan, condition: Condition) -> None:
        with suppress(Overlooked):
            await look(self, plan, condition)

    patch.setattr(pushes, "locked", lambda _: Overlooked())
    patch.setattr(Pushes, "_look_at_tags", overlook)


def move_forgets_the_lock(patch: Patch) -> None:
    write = Plan._tag

    def forgetful(self: Plan, tag: Tag, there: TagRecord | None) -> TagRecord:
        return replace(write(self, tag, there), attributes=Attributes())

    patch.setattr(Plan, "_tag", forgetful)


def deletion_heeds_no_lock_of_tags(patch: Patch) -> None:
    patch.setattr(manifests, "check_tags", lambda *_: None)


def deletion_of_all_heeds_only_its_own_lock(patch: Patch) -> None:
    async def nothing(*_: object) -> None:
        return

    patch.setattr(repositories, "check_all_tags", nothing)


def undelete_forgets_attributes(patch: Patch) -> None:
    restore = Pushes.restore

    async def forgetful(self: Pushes, *args: Any, **options: Any) -> None:
        await restore(self, *args, **{**options, "kept": {}})

    patch.setattr(Pushes, "restore", forgetful)


def first_push_lists_what_was_hidden(patch: Patch) -> None:
    add = Index.add

    async def shown(self: Index, repository: RepositoryName, **_: bool) -> None:
        await add(self, repository)

    async def nothing(*_: object) -> None:
        return

    patch.setattr(Index, "add", shown)
    patch.setattr(pushes, "list_as_said", nothing)


def names_are_not_kept(patch: Patch) -> None:
    patch.setattr(Policies, "keeps_names", False)


def names_are_read_and_then_used(patch: Patch) -> None:
    attempt = Pushes._try

    async def looking(self: Pushes, plan: Plan) -> None:
        wanted = [keys.used(tag) for tag, there in plan.tags.items() if there is None]
        if await self._contents.rows(plan.repository, wanted):
            raise fixed("it was read that the name is used")
        await attempt(self, plan)

    patch.setattr(Pushes, "_try", looking)
    patch.setattr(tags, "claim", lambda name, moment: Put(keys.used(name), {"at": moment}))


def names_are_not_spent_with_their_tags(patch: Patch) -> None:
    patch.setattr(tags, "_spend", lambda *_: Upsert("spent", {"at": LONG_AGO}))


def tags_are_read_and_then_written(patch: Patch) -> None:
    point = tags.point

    def blind(new: TagRecord, there: TagRecord | None, by: str) -> Iterable[Change]:
        first, *rest = point(new, there, by)
        return [Upsert(first.key, new.values()), *rest]

    patch.setattr(tags, "point", blind)


FAULTS = [
    (lock_leaves_writable, "a lock, and a push", "takes pushes, and is locked"),
    (lock_goes_by_no_etag, "a locked tag, and the repository goes", "gone, and was locked"),
    (lock_of_a_tag_is_in_one_row, "a locked tag, and its manifest goes", "locked"),
    (move_heeds_no_lock, "a locked tag, and it moves", "locked tag has moved"),
    (move_forgets_the_lock, "a protected tag, and it moves", "has forgotten"),
    (deletion_heeds_no_lock_of_tags, "a locked tag, and it goes", "gone, and was locked"),
    (deletion_heeds_no_lock_of_tags, "a locked tag, and its manifest goes", "was locked"),
    (
        deletion_of_all_heeds_only_its_own_lock,
        "a locked tag, and the repository goes",
        "gone, and was locked",
    ),
    (undelete_forgets_attributes, "what was hidden comes back", "is not hidden"),
    (
        first_push_lists_what_was_hidden,
        "one is hidden, retires, and is pushed to",
        "is hidden and in the catalog",
    ),
    (names_are_not_kept, "a name is used, freed and used", "has pointed to 2"),
    (names_are_read_and_then_used, "a name is used, freed and used", "has pointed to 2"),
    (
        names_are_not_spent_with_their_tags,
        "a tag of before goes, and its name comes",
        "has pointed to 2",
    ),
    (tags_are_read_and_then_written, "two first pushes of a tag", "is not so"),
]


@pytest.mark.parametrize(
    ("plant", "scenario", "says"), FAULTS, ids=[f"{it[0].__name__}-{it[1]}" for it in FAULTS]
)
def test_a_rule_that_is_taken_out_is_missed(
    plant: Callable[[Patch], None], scenario: str, says: str, monkeypatch: Patch
) -> None:
    plant(monkeypatch)
    with pytest.raises(Broken, match=says):
        explore_all(SCENARIOS[scenario])
