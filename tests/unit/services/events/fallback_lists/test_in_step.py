"""Lists of referrers that old clients keep, while others push and delete by the API."""

from collections.abc import Sequence

import orjson
import pytest

from shared.errors import ManifestUnknown
from shared.model.manifests.manifest import read_manifest
from shared.model.manifests.media_types import OCI_INDEX
from shared.model.names import referrers_tag
from shared.services.content import referrers
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.events.fallback_lists import FallbackLists
from shared.storage.ports import Row
from tests.support.app import Memory
from tests.support.causes import ME
from tests.unit.services.conftest import (
    LATEST,
    REPOSITORY,
    described_as,
    image_of,
    index_of,
)
from tests.unit.services.events.fallback_lists.conftest import (
    NEW,
    OLD,
    ONE,
    STRANGER,
    SUBJECT,
    TAG,
    WorkOff,
    listed,
    push,
)


async def test_where_no_list_is_none_is_made(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff
) -> None:
    await push(pushes, NEW)
    assert await work_off() == 1
    with pytest.raises(ManifestUnknown):
        await manifests.find(REPOSITORY, TAG)


async def test_a_referrer_that_is_pushed_is_listed_as_the_api_lists_it(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff
) -> None:
    await push(pushes, OLD)
    await push(pushes, index_of([OLD], annotations={"kept": "yes"}), TAG)
    assert await work_off() == 2
    await push(pushes, NEW)
    assert await work_off() == 2  # the push, and that of the list, after which there is no other
    _, body = await manifests.read(REPOSITORY, TAG)
    index = orjson.loads(body)
    assert index["manifests"] == [described_as(OLD), NEW.as_referrer()]
    assert index["annotations"] == {"kept": "yes"}


@pytest.mark.parametrize("manifests_of_list", [{"manifests": None}, {}])
async def test_a_list_that_was_never_filled_is_filled(
    pushes: Pushes,
    manifests: Manifests,
    work_off: WorkOff,
    manifests_of_list: dict[str, None],
) -> None:
    body = orjson.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, **manifests_of_list})
    await push(pushes, NEW)
    await push(pushes, read_manifest(body, OCI_INDEX), TAG)
    await work_off()
    assert await listed(manifests) == [NEW.digest]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_a_list_that_comes_later_gets_what_it_lacks(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff, algorithm: str
) -> None:
    subject = read_manifest(SUBJECT.body, SUBJECT.media_type, algorithm)
    referrer = image_of(ONE, subject=described_as(subject))
    await push(pushes, referrer)
    await push(pushes, index_of([]), referrers_tag(subject.digest))
    await work_off()
    assert await listed(manifests, referrers_tag(subject.digest)) == [referrer.digest]


async def test_what_a_client_undoes_without_a_condition_is_done_again(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff
) -> None:
    await push(pushes, OLD)
    await push(pushes, index_of([OLD]), TAG)
    await push(pushes, NEW)
    await work_off()
    await push(pushes, index_of([OLD]), TAG)
    await work_off()
    assert await listed(manifests) == [OLD.digest, NEW.digest]


async def test_a_referrer_that_is_deleted_is_struck_off(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff
) -> None:
    await push(pushes, OLD)
    await push(pushes, NEW)
    await push(pushes, index_of([OLD, NEW]), TAG)
    await work_off()
    await manifests.delete(REPOSITORY, OLD.digest, by=ME)
    await work_off()
    assert await listed(manifests) == [NEW.digest]
    await manifests.delete(REPOSITORY, NEW.digest, by=ME)
    await work_off()
    assert await listed(manifests) == []


async def test_a_referrer_that_is_deleted_and_pushed_again_stays(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff
) -> None:
    await push(pushes, OLD)
    await push(pushes, index_of([OLD]), TAG)
    await work_off()
    await manifests.delete(REPOSITORY, OLD.digest, by=ME)
    await push(pushes, OLD)
    assert await work_off() == 2
    assert await listed(manifests) == [OLD.digest]


async def test_what_is_there_and_no_referrer_stays_on_the_list(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff
) -> None:
    await push(pushes, STRANGER)
    await push(pushes, index_of([STRANGER]), TAG)
    await push(pushes, NEW)
    await work_off()
    assert await listed(manifests) == [STRANGER.digest, NEW.digest]


async def test_what_is_not_there_is_listed_when_it_comes(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff
) -> None:
    await push(pushes, index_of([STRANGER, OLD]), TAG)
    await work_off()
    assert await listed(manifests) == []
    await push(pushes, OLD)
    await work_off()
    assert await listed(manifests) == [OLD.digest]


async def test_an_event_about_no_referrer_reads_nothing(
    pushes: Pushes,
    manifests: Manifests,
    memory: Memory,
    work_off: WorkOff,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await push(pushes, SUBJECT, LATEST)
    await manifests.untag(REPOSITORY, LATEST, by=ME)
    await manifests.delete(REPOSITORY, SUBJECT.digest, by=ME)

    async def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(FallbackLists, "_bring_in_step", refuse)
    assert await work_off() == 3


async def test_of_a_list_in_step_no_referrer_is_read(
    pushes: Pushes, memory: Memory, work_off: WorkOff, monkeypatch: pytest.MonkeyPatch
) -> None:
    await push(pushes, OLD)
    await push(pushes, NEW)
    await push(pushes, index_of([OLD, NEW]), TAG)
    read: list[str] = []
    get = memory.rows.get

    async def noted(table: str, partition: str, key: str, only: Sequence[str] | None) -> Row | None:
        read.append(key.partition("|")[0])
        return await get(table, partition, key, only)

    monkeypatch.setattr(memory.rows, "get", noted)
    assert await work_off() == 3
    assert sorted(read) == [*["manifest"] * 3, *["outbox"] * 3, *["tag"] * 3]  # to be copied, once


async def test_a_list_gains_many_referrers_at_once(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(referrers, "_AT_ONCE", 2)
    referring = [
        image_of(ONE, subject=described_as(SUBJECT), annotations={"number": str(number)})
        for number in range(5)
    ]
    for each in referring:
        await push(pushes, each)
    await push(pushes, index_of(referring[3:4]), TAG)
    assert await work_off() == 7
    assert sorted(map(str, await listed(manifests))) == sorted(str(one.digest) for one in referring)


async def test_what_is_deleted_and_listed_again_is_struck_off_again(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff
) -> None:
    await push(pushes, OLD)
    await push(pushes, index_of([OLD]), TAG)
    await work_off()
    await manifests.delete(REPOSITORY, OLD.digest, by=ME)
    await work_off()
    await push(pushes, index_of([OLD]), TAG)
    await work_off()
    assert await listed(manifests) == []
