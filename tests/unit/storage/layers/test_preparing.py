import asyncio
from collections.abc import Callable

import pytest

from shared.storage import keys
from shared.storage.layers.preparing import prepared
from shared.storage.ports import Messages, NotPrepared, Objects, Put, Rows, Unavailable
from tests.support.app import Memory

type Ports = tuple[Rows, Objects, Messages, Objects]


@pytest.fixture
def ports(memory: Memory) -> Ports:
    return prepared(*memory.ports())


async def row(ports: Ports) -> None:
    assert await ports[0].get(keys.BLOBS, "p", "k") is None


async def message(ports: Ports) -> None:
    await ports[2].send(keys.EVENTS, "")


async def facts(ports: Ports) -> None:
    assert await ports[1].facts("x") is None


async def content(ports: Ports) -> None:
    await ports[1].put("x", b"data", {})
    assert b"".join([piece async for piece in ports[1].read("x")]) == b"data"


async def beside(ports: Ports) -> None:
    assert await ports[3].facts("x") is None


async def is_all_there(memory: Memory) -> bool:
    try:
        for table in keys.TABLES:
            await memory.rows.get(table, "p", "k")
        await memory.objects.facts("x")
        await memory.beside.facts("x")
        for queue in keys.QUEUES:
            await memory.messages.send(queue, "")
    except NotPrepared:
        return False
    return True


@pytest.mark.parametrize("call", [row, message, facts, content, beside])
async def test_whoever_misses_a_store_makes_all(
    memory: Memory, ports: Ports, call: Callable[[Ports], object]
) -> None:
    await call(ports)  # type: ignore[misc]
    assert await is_all_there(memory)


@pytest.mark.parametrize("call", [row, message, facts, content, beside])
@pytest.mark.parametrize("missing", ["table", "queue", "container", "container beside"])
async def test_one_that_came_to_be_missing_is_made_again(
    memory: Memory, ports: Ports, call: Callable[[Ports], object], missing: str
) -> None:
    await memory.prepare()
    if missing == "table":
        del memory.rows._tables[keys.BLOBS]
    elif missing == "queue":
        memory.messages._queues.discard(keys.EVENTS)
    else:
        port = memory.objects if missing == "container" else memory.beside
        port._container = None
    await call(ports)  # type: ignore[misc]


async def test_reading_content_prepares_too(memory: Memory, ports: Ports) -> None:
    with pytest.raises(Exception, match="x is not there"):
        await anext(ports[1].read("x"))
    assert await is_all_there(memory)


class Steps:
    """What is prepared, in order; one step may fail."""

    def __init__(self, memory: Memory, patch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        self.fails_at = ""
        for name, port in (
            ("beside", memory.beside),
            ("rows", memory.rows),
            ("objects", memory.objects),
            ("messages", memory.messages),
        ):
            patch.setattr(port, "prepare", self._step(name, port.prepare))

    def _step(self, name: str, prepare: Callable[..., object]) -> Callable[..., object]:
        async def step(*what: object) -> None:
            await asyncio.sleep(0)
            if name == self.fails_at:
                raise Unavailable("no role yet")
            self.done.append(name)
            await prepare(*what)  # type: ignore[misc]

        return step


@pytest.fixture
def steps(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> Steps:
    return Steps(memory, monkeypatch)


async def test_the_container_comes_last_and_all_is_made_once(ports: Ports, steps: Steps) -> None:
    await asyncio.gather(*(call(ports) for call in (row, message, facts) for _ in range(20)))
    assert steps.done == ["beside", "rows", "messages", "objects"]


@pytest.mark.parametrize("step", ["beside", "rows", "messages", "objects"])
async def test_a_preparation_that_failed_is_tried_again(
    ports: Ports, steps: Steps, memory: Memory, step: str
) -> None:
    steps.fails_at = step
    for _ in range(2):
        with pytest.raises(Unavailable):
            await facts(ports)
    steps.fails_at = ""
    await facts(ports)
    assert await is_all_there(memory)


async def test_a_store_that_will_not_come_is_unavailable(
    ports: Ports, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object) -> None:
        pass

    for port in memory.ports():
        monkeypatch.setattr(port, "prepare", nothing)
    for call in (row, message, facts):
        with pytest.raises(Unavailable):
            await call(ports)
    with pytest.raises(Unavailable):
        await anext(ports[1].read("x"))


async def test_a_queue_of_others_is_not_made_and_makes_nothing(
    memory: Memory, ports: Ports
) -> None:
    for queue in keys.POISON:
        for call in (ports[2].receive(queue, 1, 1), ports[2].peek(queue, 1)):
            with pytest.raises(NotPrepared):
                await call
    assert not await is_all_there(memory)


async def test_all_else_is_as_the_port_says(memory: Memory, ports: Ports) -> None:
    await ports[0].commit(keys.BLOBS, "p", [Put("k", {"a": 1})])
    found = await ports[0].get(keys.BLOBS, "p", "k", only=["a"])
    assert found
    assert found.values == {"a": 1}
    await ports[1].put("x", b"data", {})
    assert [piece async for piece in ports[1].read("x", 1, length=2)] == [b"at"]
