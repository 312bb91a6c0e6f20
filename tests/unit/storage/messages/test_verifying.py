"""Messages of the queue `verification`: what names an object, and what does not."""

import json
from datetime import timedelta

import pytest

from shared.model.digest import Digest
from shared.storage import keys
from shared.storage.messages.verifying import ToVerify
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.messages import addressed

DRAWN = "ab" * 16
GENERATION = "g" * 32
NAME = keys.object_name(GENERATION, DRAWN)
DIGEST = Digest.of(b"content")
GOOD = {"generation": GENERATION, "object": DRAWN, "state": "sealed", "digest": str(DIGEST)}


async def test_what_is_asked_is_read_again(stores: Stores, prepared: Memory) -> None:
    await stores.verifying.ask(NAME, timedelta(seconds=7.2), "sealed", DIGEST)
    ((queue, body, delay),) = addressed(prepared.messages.sent)
    assert (queue, delay) == (keys.VERIFICATION, 8)
    asked = ToVerify.read(body.encode())
    assert asked == ToVerify(GENERATION, DRAWN, "sealed", DIGEST)
    assert asked.name == NAME


def test_little_is_enough() -> None:
    body = json.dumps({"generation": GENERATION, "object": DRAWN}).encode()
    assert ToVerify.read(body) == ToVerify.named(NAME) == ToVerify(GENERATION, DRAWN)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"no json",
        b"[]",
        b'"text"',
        b"{}",
        json.dumps({**GOOD, "object": 1}).encode(),
        json.dumps({**GOOD, "object": "../elsewhere"}).encode(),
        json.dumps({**GOOD, "generation": ""}).encode(),
        json.dumps({**GOOD, "state": {}}).encode(),
        json.dumps({**GOOD, "digest": "sha256:short"}).encode(),
        json.dumps({**GOOD, "digest": 7}).encode(),
        json.dumps({**GOOD, "repository": "No Name"}).encode(),
        json.dumps({**GOOD, "repository": 7}).encode(),
    ],
)
def test_what_names_no_object_is_refused(said: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        ToVerify.read(said)


@pytest.mark.parametrize("name", ["", "alone", "too/many/parts", "halted", "/" + DRAWN])
def test_names_of_another_kind_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="names no object"):
        ToVerify.named(name)
