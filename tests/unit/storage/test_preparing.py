"""Whatever is missing, the first call that meets it makes all, and goes through."""

from collections.abc import Awaitable, Callable

import pytest

from shared.storage import keys
from shared.storage.ports import Insert
from shared.storage.preparing import Ports
from tests.support.app import Memory

type Call = Callable[[Ports], Awaitable[object]]

CALLS: dict[str, Call] = {
    "get": lambda ports: ports.rows.get(keys.CONTENTS, "p", "k"),
    "scan": lambda ports: ports.rows.scan(keys.BLOBS, "p", after="a", before="b", limit=1),
    "commit": lambda ports: ports.rows.commit(keys.CONTENTS, "p", [Insert("k", {})]),
    "stage": lambda ports: ports.objects.stage("o", "id", b""),
    "staged": lambda ports: ports.objects.staged("o"),
    "put": lambda ports: ports.objects.put("o", b"", {}),
    "make": lambda ports: ports.objects.commit("o", [], {}),
    "facts": lambda ports: ports.objects.facts("o"),
    "delete": lambda ports: ports.objects.delete("o", "etag"),
    "send": lambda ports: ports.messages.send(keys.EVENTS, "m", 1),
}


async def is_whole(memory: Memory) -> bool:
    assert await memory.rows.get(keys.REGISTRIES, "p", "none") is None
    assert await memory.objects.facts("none") is None
    await memory.messages.send(keys.UPKEEP, "m")
    return True


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_call_that_meets_nothing_makes_all(memory: Memory, call: Call) -> None:
    ports = Ports(memory.rows, memory.objects, memory.messages).prepared()
    await call(ports)
    assert await is_whole(memory)


async def test_what_was_prepared_in_part_is_completed(memory: Memory) -> None:
    await memory.rows.prepare([keys.REGISTRIES])
    ports = Ports(memory.rows, memory.objects, memory.messages).prepared()
    assert await ports.rows.get(keys.REGISTRIES, "p", "none") is None
    await ports.messages.send(keys.UPKEEP, "m")
    assert await is_whole(memory)


async def test_each_can_be_prepared_alone(memory: Memory) -> None:
    ports = Ports(memory.rows, memory.objects, memory.messages).prepared()
    await ports.prepare()
    assert await is_whole(memory)
    await ports.objects.put("o", b"bytes", {})
    assert [piece async for piece in ports.objects.read("o")] == [b"bytes"]
    assert await ports.objects.url("o", 1)
