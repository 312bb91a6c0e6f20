"""Objects: staged, made, read in ranges, removed."""

import os
from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.storage.azure.account.account import AzureAccount
from shared.storage.azure.blobs import AzureObjects
from shared.storage.memory.objects import MemoryObjects
from shared.storage.ports import Block, Conflict, Facts, NotFound, NotPrepared, Objects
from tests.contract.conftest import whole
from tests.support.clock import Clock

MIB = 1 << 20

DIGITS = b"0123456789"


async def make(objects: Objects, data: bytes, name: str = "x") -> str:
    return await objects.put(name, data, {})


class TestStaging:
    async def test_nothing_is_staged_at_first(self, objects: Objects) -> None:
        assert await objects.staged("x") == []

    async def test_staged_pieces_are_listed_with_their_sizes(self, objects: Objects) -> None:
        await objects.stage("x", "b", b"12")
        await objects.stage("x", "a", b"3")
        await objects.stage("y", "c", b"4")

        assert {*await objects.staged("x")} == {Block("a", 1), Block("b", 2)}

    async def test_the_same_id_replaces_a_piece(self, objects: Objects) -> None:
        await objects.stage("x", "a", b"old")
        await objects.stage("x", "a", b"newer")

        assert await objects.staged("x") == [Block("a", 5)]
        await objects.commit("x", ["a"], {})
        assert await whole(objects.read("x")) == b"newer"

    async def test_an_id_takes_48_characters(self, objects: Objects) -> None:
        ids = ["-_~:|/+=.!" * 4 + f"{number:08}" for number in range(3)]
        for block_id in ids:
            await objects.stage("x", block_id, block_id.encode())

        assert {block.id for block in await objects.staged("x")} == {*ids}
        await objects.commit("x", ids, {})
        assert await whole(objects.read("x")) == "".join(ids).encode()

    async def test_ids_of_two_lengths_are_the_callers_fault(self, objects: Objects) -> None:
        await objects.stage("x", "a", b"1")

        with pytest.raises(ValueError, match=r"."):
            await objects.stage("x", "aa", b"2")

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    @pytest.mark.parametrize("size", [1, MIB, 5 * MIB + 3])
    async def test_a_piece_is_any_kind_of_bytes(
        self, objects: Objects, kind: Callable[[bytes], bytes], size: int
    ) -> None:
        data = os.urandom(size)

        await objects.stage("x", "a", kind(data))
        await objects.commit("x", ["a"], {})

        assert await whole(objects.read("x")) == data

    async def test_a_piece_is_kept_as_it_was_sent(self, objects: Objects) -> None:
        buffer = bytearray(b"before")
        await objects.stage("x", "a", memoryview(buffer)[:3])
        buffer[:] = b"after "
        await objects.commit("x", ["a"], {})

        assert await whole(objects.read("x")) == b"bef"


class TestCommits:
    async def test_pieces_are_put_in_the_order_asked(self, objects: Objects) -> None:
        for block_id in "abc":
            await objects.stage("x", block_id, block_id.encode())

        await objects.commit("x", ["c", "a"], {})

        assert await whole(objects.read("x")) == b"ca"

    async def test_pieces_left_over_are_forgotten(self, objects: Objects) -> None:
        for block_id in "abc":
            await objects.stage("x", block_id, block_id.encode())

        await objects.commit("x", ["a"], {})

        assert await objects.staged("x") == []

    async def test_an_object_is_not_made_twice(self, objects: Objects) -> None:
        await objects.stage("x", "a", b"first")
        await objects.commit("x", ["a"], {"by": "first"})

        with pytest.raises(Conflict):
            await objects.commit("x", ["a"], {"by": "second"})
        await objects.stage("x", "b", b"second")
        with pytest.raises(Conflict):
            await objects.commit("x", ["b"], {"by": "second"})
        with pytest.raises(Conflict):
            await objects.commit("x", [], {})
        with pytest.raises(Conflict):
            await objects.put("x", b"second", {})

        assert await whole(objects.read("x")) == b"first"
        assert await objects.facts("x") == Facts(5, {"by": "first"})

    @pytest.mark.parametrize("ids", [["b"], ["a", "b"], ["b", "a"]], ids=str)
    async def test_a_missing_piece_makes_no_object(self, objects: Objects, ids: list[str]) -> None:
        await objects.stage("x", "a", b"1")

        with pytest.raises(NotFound):
            await objects.commit("x", ids, {})

        assert await objects.facts("x") is None
        assert await objects.staged("x") == [Block("a", 1)]
        await objects.commit("x", ["a"], {})

    async def test_pieces_of_another_object_do_not_count(self, objects: Objects) -> None:
        await objects.stage("y", "a", b"1")

        with pytest.raises(NotFound):
            await objects.commit("x", ["a"], {})

    async def test_no_pieces_make_an_empty_object(self, objects: Objects) -> None:
        await objects.commit("x", [], {"size": "0"})

        assert await objects.facts("x") == Facts(0, {"size": "0"})
        assert await whole(objects.read("x")) == b""

    async def test_what_is_staged_later_is_not_in_the_object(self, objects: Objects) -> None:
        await make(objects, b"whole")
        await objects.stage("x", "a", b"late")

        assert await objects.staged("x") == [Block("a", 4)]
        assert await whole(objects.read("x")) == b"whole"

    @pytest.mark.parametrize("size", [0, 1, MIB, 3 * MIB])
    async def test_a_small_object_is_made_at_once(self, objects: Objects, size: int) -> None:
        data = os.urandom(size)

        await objects.put("x", data, {"digest": "sha256:0"})

        assert await objects.facts("x") == Facts(size, {"digest": "sha256:0"})
        assert await whole(objects.read("x")) == data

    @pytest.mark.parametrize("size", [1, 3 * MIB])
    async def test_a_small_object_is_not_made_twice(self, objects: Objects, size: int) -> None:
        await make(objects, b"first")

        with pytest.raises(Conflict):
            await objects.put("x", b"2" * size, {})

        assert await whole(objects.read("x")) == b"first"


class TestObjects:
    async def test_what_is_not_an_object_has_no_facts(self, objects: Objects) -> None:
        await objects.stage("staged", "a", b"1")

        assert await objects.facts("none") is None
        assert await objects.facts("staged") is None

    @pytest.mark.parametrize(
        ("start", "length", "expected"),
        [
            (0, None, b"0123456789"),
            (0, 10, b"0123456789"),
            (0, 1, b"0"),
            (9, 1, b"9"),
            (3, 4, b"3456"),
            (3, None, b"3456789"),
            (3, 100, b"3456789"),
            (3, 9 * MIB, b"3456789"),
            (0, 0, b""),
            (3, 0, b""),
            (10, None, b""),
            (10, 5, b""),
            (99, None, b""),
        ],
    )
    async def test_a_range_is_read(
        self, objects: Objects, start: int, length: int | None, expected: bytes
    ) -> None:
        await make(objects, DIGITS)

        pieces = [piece async for piece in objects.read("x", start, length)]

        assert b"".join(pieces) == expected
        assert all(pieces)

    @pytest.mark.parametrize(("start", "length"), [(0, None), (0, 1), (1, None)])
    async def test_nothing_is_read_of_an_empty_object(
        self, objects: Objects, start: int, length: int | None
    ) -> None:
        await make(objects, b"")

        assert await whole(objects.read("x", start, length)) == b""

    @pytest.mark.parametrize("length", [None, 0, 5])
    async def test_reading_what_is_not_there_is_said_before_the_first_piece(
        self, objects: Objects, length: int | None
    ) -> None:
        await objects.stage("staged", "a", b"1")

        for name in ("none", "staged"):
            with pytest.raises(NotFound):
                await anext(objects.read(name, 0, length))

    async def test_a_large_object_is_read_in_pieces(self, objects: Objects) -> None:
        data = os.urandom(20 * MIB)
        for number in range(5):
            piece = memoryview(data)[number * 4 * MIB :][: 4 * MIB]
            await objects.stage("x", f"{number}", piece)
        await objects.commit("x", ["0", "1", "2", "3", "4"], {})

        pieces = [piece async for piece in objects.read("x")]

        assert b"".join(pieces) == data
        assert max(map(len, pieces)) <= 4 * MIB
        middle = await whole(objects.read("x", 3 * MIB + 1, 9 * MIB))
        assert middle == data[3 * MIB + 1 :][: 9 * MIB]

    async def test_reading_may_end_early(self, objects: Objects) -> None:
        etag = await make(objects, bytes(3 * MIB))

        stream = objects.read("x")
        assert await anext(stream)
        await stream.aclose()

        assert await objects.delete("x", etag)

    async def test_an_object_is_removed_once(self, objects: Objects) -> None:
        etag = await make(objects, DIGITS)

        assert await objects.delete("x", etag)

        assert await objects.facts("x") is None
        assert not await objects.delete("x", etag)

    @pytest.mark.parametrize("size", [1, 3 * MIB], ids=["one call", "two calls"])
    async def test_the_etag_is_the_same_for_who_makes_and_who_looks(
        self, objects: Objects, size: int
    ) -> None:
        made = await make(objects, bytes(size))

        facts = await objects.facts("x")

        assert facts
        assert made
        assert facts.etag == made

    async def test_an_object_of_pieces_has_an_etag_too(self, objects: Objects) -> None:
        await objects.stage("x", "a", b"1")
        made = await objects.commit("x", ["a"], {})

        facts = await objects.facts("x")

        assert facts
        assert facts.etag == made
        assert await objects.delete("x", made)

    async def test_what_has_the_name_now_is_another_object(self, objects: Objects) -> None:
        first = await make(objects, DIGITS)
        await objects.delete("x", first)
        second = await make(objects, DIGITS)

        assert first != second
        assert not await objects.delete("x", first)
        assert await whole(objects.read("x")) == DIGITS
        assert await objects.delete("x", second)

    async def test_a_name_may_have_a_slash(self, objects: Objects) -> None:
        for name in ("g/x", "h/x"):
            await objects.stage(name, "a", name.encode())
            await objects.commit(name, ["a"], {})

        assert await whole(objects.read("g/x")) == b"g/x"
        assert await objects.facts("x") is None
        assert "/g/x?" in await objects.url("g/x", 60)

    async def test_an_object_that_was_just_made_is_young(self, objects: Objects) -> None:
        await make(objects, DIGITS)

        facts = await objects.facts("x")

        assert facts
        assert timedelta() <= facts.age < timedelta(seconds=30)

    async def test_removing_an_object_forgets_what_was_staged_since(self, objects: Objects) -> None:
        etag = await make(objects, DIGITS)
        await objects.stage("x", "a", b"1")

        assert await objects.delete("x", etag)

        assert await objects.staged("x") == []

    @pytest.mark.parametrize("limit", [1, 2, 3, 4, 10])
    async def test_names_are_listed_in_pages(self, objects: Objects, limit: int) -> None:
        for name in ("g/3", "g/1", "h/1", "g/2", "f/9"):
            await make(objects, DIGITS, name)
        await objects.stage("g/staged", "a", b"1")

        listed, position = await objects.page("g/", "", limit)
        while position:
            names, position = await objects.page("g/", position, limit)
            assert len(names) <= limit
            listed += names

        assert listed == ["g/1", "g/2", "g/3"]

    async def test_nothing_is_listed_of_what_is_not_there(self, objects: Objects) -> None:
        assert await objects.page("g/", "", 10) == ([], "")

    async def test_an_address_names_the_object(self, objects: Objects) -> None:
        assert "/x?" in await objects.url("x", 60)

    async def test_making_the_container_twice_keeps_it(self, objects: Objects) -> None:
        await make(objects, DIGITS)

        await objects.prepare()

        assert await objects.facts("x") == Facts(10, {})

    async def test_a_missing_container_is_said_so(self, empty_objects: Objects) -> None:
        for call in (
            empty_objects.stage("x", "a", b"1"),
            empty_objects.staged("x"),
            empty_objects.commit("x", ["a"], {}),
            empty_objects.put("x", b"1", {}),
            empty_objects.facts("x"),
            empty_objects.page("x", "", 1),
            anext(empty_objects.read("x")),
            anext(empty_objects.read("x", 0, 0)),
            empty_objects.delete("x", '"1"'),
        ):
            with pytest.raises(NotPrepared):
                await call


@pytest.mark.emulator
class TestReplacing:
    async def test_an_object_takes_the_place_of_the_one_that_was_read(
        self, objects: Objects
    ) -> None:
        first = await make(objects, b"first, and longer")

        second = await objects.replace("x", b"second", first)

        assert await whole(objects.read("x")) == b"second"
        facts = await objects.facts("x")
        assert facts
        assert (facts.etag, facts.size) == (second, 6)
        assert facts.age < timedelta(seconds=60)
        assert second != first

    async def test_another_one_stays(self, objects: Objects) -> None:
        first = await make(objects, b"first")
        await objects.replace("x", b"second", first)

        with pytest.raises(Conflict):
            await objects.replace("x", b"third", first)

        assert await whole(objects.read("x")) == b"second"

    async def test_none_is_not_made(self, objects: Objects) -> None:
        first = await make(objects, b"first")
        await objects.delete("x", first)

        with pytest.raises(Conflict):
            await objects.replace("x", b"second", first)

        assert await objects.facts("x") is None

    async def test_it_needs_its_container(self, empty_objects: Objects) -> None:
        with pytest.raises(NotPrepared):
            await empty_objects.replace("x", b"1", '"0x1"')


class TestCalls:
    """What Azure's adapter costs, in calls."""

    async def test_each_step_is_one_call(
        self, account: AzureAccount, name: str, calls: list[str]
    ) -> None:
        objects = AzureObjects(account, container=name)
        await objects.prepare()
        calls.clear()

        await objects.stage("x", "a", bytes(9 * MIB))
        await objects.staged("x")
        await objects.commit("x", ["a"], {"digest": "sha256:0"})
        etag = await objects.put("y", bytes(MIB), {})
        await objects.facts("x")
        await whole(objects.read("x"))
        await objects.url("x", 60)
        await objects.delete("y", etag)

        assert len(calls) == 7


class TestMemoryObjects:
    """What Azure documents and its emulator does not do; and what takes the clock in hand."""

    @pytest.fixture
    async def memory(self, clock: Clock) -> Objects:
        objects = MemoryObjects(clock)
        await objects.prepare()
        return objects

    async def test_an_object_is_as_old_as_the_clock_says(
        self, memory: Objects, clock: Clock
    ) -> None:
        await make(memory, DIGITS)
        clock.move(minutes=15)

        facts = await memory.facts("x")

        assert facts
        assert facts.age == timedelta(minutes=15)

    async def test_making_an_object_at_once_forgets_what_was_staged(self, memory: Objects) -> None:
        await memory.stage("x", "a", b"1")
        await make(memory, b"at once")

        assert await memory.staged("x") == []

    async def test_staged_pieces_are_not_removed_as_an_object(self, memory: Objects) -> None:
        await memory.stage("x", "a", b"1")

        assert not await memory.delete("x", '"1"')
        assert await memory.staged("x") == [Block("a", 1)]
