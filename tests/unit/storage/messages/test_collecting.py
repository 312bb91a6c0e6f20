import json
from datetime import timedelta

import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.storage import ages, keys
from shared.storage.messages.collecting import MOST_DIGESTS, Suspects
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.messages import addressed

A = RepositoryName("a/b")
ONE, TWO = Digest.of(b"1"), Digest.of(b"2", "sha512")
MOST_BYTES = 48 * 1024


def asked(memory: Memory) -> list[tuple[Suspects, int]]:
    """Give the messages to the collector, and their delays."""
    sent = addressed(memory.messages.sent)
    return [(Suspects.read(it.body.encode()), it.delay) for it in sent if it.queue == keys.GARBAGE]


async def test_it_asks_for_each_blob_once(stores: Stores, prepared: Memory) -> None:
    await stores.collecting.ask(A, [ONE, TWO, ONE])
    assert asked(prepared) == [(Suspects(stores.generation, A, (ONE, TWO)), 0)]


async def test_it_asks_for_nothing_without_a_message(stores: Stores, prepared: Memory) -> None:
    await stores.collecting.ask(A, [])
    assert prepared.messages.sent == []


async def test_what_is_due_late_sleeps(stores: Stores, prepared: Memory) -> None:
    await stores.collecting.ask(A, [ONE], after=2 * ages.L + timedelta(seconds=0.5))
    (message,) = prepared.messages.sent
    assert (message.queue, message.delay) == (keys.LATER, 201)


async def test_many_blobs_are_several_messages_that_a_queue_takes(
    stores: Stores, prepared: Memory
) -> None:
    many = [Digest.of(b"%d" % number, "sha512") for number in range(2 * MOST_DIGESTS + 1)]
    await stores.collecting.ask(RepositoryName("a" * 256), many)
    assert [digest for suspects, _ in asked(prepared) for digest in suspects.digests] == many
    assert [len(suspects.digests) for suspects, _ in asked(prepared)] == [100, 100, 1]
    assert max(len(message.body) for message in prepared.messages.sent) < MOST_BYTES


@pytest.mark.parametrize(
    "body",
    [
        b"no json",
        b"[]",
        b"{}",
        b'"text"',
        json.dumps({"generation": "g", "repository": "a/b"}).encode(),
        json.dumps({"generation": "g", "repository": "a/b", "digests": 7}).encode(),
        json.dumps({"generation": "g", "repository": "a/b", "digests": [7]}).encode(),
        json.dumps({"generation": "g", "repository": "a/b", "digests": ["sha256:0"]}).encode(),
        json.dumps({"generation": "g", "repository": "A", "digests": [str(ONE)]}).encode(),
    ],
)
def test_what_is_no_message_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Suspects.read(body)
