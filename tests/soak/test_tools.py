"""The soak's own tools: what is left over is noticed, clocks jump, and a model knows its own."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from shared.model.names import parse_repository
from shared.storage.messages.errands import Errand, Kind
from tests.soak.leftovers import Rows, Stored
from tests.soak.model import Content, Known, Mine, State, image, pool
from tests.support import witness
from tests.support.jumping_clock import JumpingClock

G, REPOSITORY = "9" * 32, "soak/0"
PARTITION = f"{G}|soak-0"
M, B = (f"sha256:{letter * 64}" for letter in "ab")
LIFE, HEX = "1" * 32, "2" * 32

WHOLE: dict[str, Mapping[str, object]] = {
    "repository": {},
    "writable": {},
    f"manifest|{M}": {"life": LIFE},
    f"blob|{B}": {"object": f"{G}/{HEX}"},
    f"edge|{B}|{M}|{LIFE}": {},
    "tag|v1": {"digest": M},
    f"tagged|{M}|v1": {"digest": M},
}
CONTENT: dict[str, Mapping[str, object]] = {
    "content": {"object": f"{G}/{HEX}", "state": "good"},
    f"good|{HEX}": {},
    "repo|soak-0": {},
}
OBJECTS = frozenset({f"{G}/{LIFE}", f"{G}/{HEX}"})


def there(
    contents: Rows = WHOLE, blobs: Rows = CONTENT, objects: frozenset[str] = OBJECTS
) -> Stored:
    return Stored({PARTITION: contents}, {f"{G}|{B}": blobs}, objects, {})


def without(rows: Rows, key: str) -> Rows:
    return {name: row for name, row in rows.items() if name != key}


def test_nothing_is_at_fault_where_all_serves_what_is_live() -> None:
    assert not there().faults()
    assert there().live() == {(REPOSITORY, M)}


@pytest.mark.parametrize(
    ("stored", "fault"),
    [
        (there(without(WHOLE, f"edge|{B}|{M}|{LIFE}")), f"{REPOSITORY}: blob|{B} is over"),
        (there(WHOLE | {f"edge|{B}|{M}|{HEX}": {}}), f"{REPOSITORY}: edge|{B}|{M}|{HEX} is over"),
        (there(WHOLE | {"outbox|1": {}}), f"{REPOSITORY}: outbox|1 is over"),
        (there(WHOLE | {f"deleted|{M}|{HEX}": {}}), f"{REPOSITORY}: deleted|{M}|{HEX} is over"),
        (there(WHOLE | {f"build|{M}|{HEX}": {}}), f"{REPOSITORY}: build|{M}|{HEX} is over"),
        (there(without(WHOLE, "tag|v1")), f"{REPOSITORY}: tagged|{M}|v1 is over"),
        (there(WHOLE | {"tag|v2": {"digest": B}}), f"{REPOSITORY}: tag|v2 is over"),
        (there(WHOLE | {f"referrer|{M}|{B}": {}}), f"{REPOSITORY}: referrer|{M}|{B} is over"),
        (there(without(WHOLE, "writable")), f"{REPOSITORY} is not writable"),
        (there(without(WHOLE, f"blob|{B}")), f"{B}: the holder repo|soak-0 has no link"),
        (there(without(WHOLE, f"blob|{B}")), f"{REPOSITORY}: {M} lacks {B}"),
        (there(blobs=without(CONTENT, "repo|soak-0")), f"{B} has no holder"),
        (there(blobs=without(CONTENT, f"good|{HEX}")), f"{B} is not in service: good"),
        (there(blobs=without(CONTENT, "content")), f"object {G}/{HEX} is unused"),
        (there(blobs=CONTENT | {"gone|3": {}}), f"{B}: gone|3 is not removed"),
        (there(objects=OBJECTS | {f"{G}/3"}), f"object {G}/3 is unused"),
        (there(objects=OBJECTS - {f"{G}/{LIFE}"}), f"object {G}/{LIFE} is missing"),
        (Stored({}, {}, frozenset(), {"events-poison": 2}), "2 messages in events-poison"),
        (
            Stored({}, {}, frozenset(), {}, ["1: it is odd"]),
            "a letter cannot be read: 1: it is odd",
        ),
        (Stored({}, {}, frozenset(), {}, undelivered=["one waits"]), "one waits"),
    ],
)
def test_what_is_left_over_is_noticed(stored: Stored, fault: str) -> None:
    assert fault in stored.faults()


def test_a_clock_jumps_both_ways_and_a_seed_brings_that_back() -> None:
    moments = [float(3 * jump) for jump in range(50)]

    def offsets(seed: str) -> Sequence[timedelta]:
        ticks = iter([0.0, *moments])
        clock = JumpingClock(30, seed, lambda: next(ticks))
        return [clock.offset() for _ in moments]

    assert offsets("a") == offsets("a") != offsets("b")
    assert min(offsets("a")) < timedelta(seconds=-20) < timedelta(seconds=20) < max(offsets("a"))


def test_a_witness_counts_an_event_that_comes_twice_once(tmp_path: Path) -> None:
    said = {"event": "ManifestPushed", "digest": M, "tag": "v1", "at": "2026-01-01"}
    errand = Errand(Kind.AFTER_PUSH, G, parse_repository(REPOSITORY), {"event": said})
    later = Errand(errand.kind, G, errand.repository, {"event": said | {"at": "2026-01-02"}})
    for one in (errand, errand, later):
        witness.note(tmp_path / "heard", one)

    assert witness.heard(tmp_path / "heard") == {("AFTER_PUSH", REPOSITORY, M, "v1"): 2}


@pytest.fixture
def mine() -> Mine:
    return Mine()


def known(mine: Mine, number: int = 1, subject: Known | None = None) -> Known:
    blobs: Sequence[Content] = pool(2)
    one = Known(REPOSITORY, image("a", number, blobs, subject), blobs, subject=subject)
    mine.manifests.append(one)
    mine.tags[REPOSITORY, "v1"] = None
    mine.pushed(one, None)
    return one


def test_a_tag_that_a_deletion_took_comes_back_where_it_is_free(mine: Mine) -> None:
    one, other = known(mine), known(mine, 2)
    mine.deleted(one, frozenset({"v1"}), is_ours=True)
    mine.pointed(REPOSITORY, "v1", other)
    mine.restored(one, is_exact=True)
    assert mine.tags[REPOSITORY, "v1"] is other

    mine.deleted(one, frozenset({"v1"}), is_ours=True)
    mine.pointed(REPOSITORY, "v1", None)
    mine.restored(one, is_exact=True)
    assert mine.tags[REPOSITORY, "v1"] is one


def test_a_tag_that_may_point_elsewhere_stays_unknown_when_its_manifest_goes(mine: Mine) -> None:
    one = known(mine)
    mine.pointed(REPOSITORY, "v1", one)
    mine.unknown_tags.add((REPOSITORY, "v1"))
    mine.deleted(one, frozenset(), is_ours=True)

    assert not mine.certain_tags()


def test_a_referrer_is_doomed_while_its_subject_is_gone(mine: Mine) -> None:
    subject = known(mine)
    referrer = known(mine, 2, subject)
    mine.deleted(subject, frozenset(), is_ours=True)
    assert mine.of(State.DOOMED) == [referrer]

    mine.restored(subject, is_exact=True)
    assert mine.of(State.UNKNOWN) == [referrer]


def test_what_is_long_gone_is_forgotten(mine: Mine) -> None:
    for number in range(300):
        one = known(mine, number)
        one.deleted_at = number
        mine.deleted(one, frozenset(), is_ours=True)

    assert len(mine.manifests) < 150
    assert mine.told["AFTER_PUSH", REPOSITORY, one.digest, ""] == 1


def test_what_a_head_finds_may_be_the_work_of_an_earlier_push(mine: Mine) -> None:
    one = known(mine)
    mine.pushed(one, "v2", is_certain=False)
    mine.pushed(one, "v1")
    mine.pushed(one, "v1", is_certain=False)

    assert mine.told["AFTER_PUSH", REPOSITORY, one.digest, "v2"] == 1
    assert mine.told["AFTER_PUSH", REPOSITORY, one.digest, "v1"] == 1
