"""Preparing: a store that is not there is made by whoever misses it first.

A call that meets NotPrepared has all tables, queues and containers made, and is repeated. Making
them is harmless where they are there, is done once for all who wait, and is tried again if it
failed: roles reach a new account minutes late, and a process may die half-way. The container of
content is made last, so where it is, everything was once there. What an app of before did not know
is made as well; only where tables that say what content is needed are missing, rows are lost, and
removers are halted before the tables are made anew (`halt`).

Queues that are none of ours are not made: those in which the host puts what it has given up are
its own, and as a rule there are none.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from inspect import isasyncgenfunction
from typing import Any, cast

from shared.storage import keys
from shared.storage.halt import Halt
from shared.storage.once import Once
from shared.storage.ports import Messages, NotPrepared, Objects, Rows, Unavailable

_ANY = "any"

type _Ports = tuple[Rows, Objects, Messages, Objects]


def prepared(rows: Rows, objects: Objects, messages: Messages, beside: Objects) -> _Ports:
    """Give the ports as they are, but for answering NotPrepared."""

    async def prepare() -> None:
        await beside.prepare()
        if lost := await _lost(rows, objects):
            await Halt(beside).put(lost)
        await rows.prepare(keys.TABLES)
        await messages.prepare(keys.QUEUES)
        await objects.prepare()

    preparing = _Preparing(prepare)
    return (
        cast("Rows", _Prepared(rows, preparing)),
        cast("Objects", _Prepared(objects, preparing)),
        cast("Messages", _PreparedMessages(messages, preparing)),
        cast("Objects", _Prepared(beside, preparing)),
    )


async def _lost(rows: Rows, objects: Objects) -> list[str]:
    """Name the tables that are missing and were once there.

    The container is looked for first: who makes everything at this moment has made it after them.
    """
    if not await _is_there(objects.facts(_ANY)):
        return []
    tables = (keys.CONTENTS, keys.BLOBS)
    return [table for table in tables if not await _is_there(rows.get(table, _ANY, _ANY))]


async def _is_there(call: Awaitable[object]) -> bool:
    try:
        await call
    except NotPrepared:
        return False
    return True


class _Preparing:
    """Prepares everything, once for all who wait."""

    def __init__(self, prepare: Callable[[], Any]) -> None:
        self._prepare = prepare
        self._once: Once[str, None] = Once()

    async def run(self) -> None:
        await self._once.do("", self._prepare)


class _Prepared:
    """A port whose calls are repeated once everything is there."""

    def __init__(self, port: object, preparing: _Preparing) -> None:
        self._port = port
        self._preparing = preparing

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)
        return (self._streaming if isasyncgenfunction(call) else self._calling)(call)

    def _calling(self, call: Callable[..., Any]) -> Callable[..., Any]:
        async def repeated(*args: Any, **kwargs: Any) -> Any:
            try:
                return await call(*args, **kwargs)
            except NotPrepared:
                await self._preparing.run()
            with _still_missing():
                return await call(*args, **kwargs)

        return repeated

    def _streaming(self, call: Callable[..., Any]) -> Callable[..., Any]:
        async def repeated(*args: Any, **kwargs: Any) -> AsyncGenerator[bytes]:
            try:
                async with aclosing(call(*args, **kwargs)) as pieces:
                    async for piece in pieces:
                        yield piece
            except NotPrepared:  # comes before the first piece
                await self._preparing.run()
            else:
                return
            with _still_missing():
                async with aclosing(call(*args, **kwargs)) as pieces:
                    async for piece in pieces:
                        yield piece

        return repeated


class _PreparedMessages(_Prepared):
    """Messages, of which calls that name another's queue are left as they are."""

    def _calling(self, call: Callable[..., Any]) -> Callable[..., Any]:
        prepared = super()._calling(call)

        async def repeated(queue: Any, *args: Any, **kwargs: Any) -> Any:
            return await (prepared if queue in keys.QUEUES else call)(queue, *args, **kwargs)

        return repeated


@contextmanager
def _still_missing() -> Iterator[None]:
    """Say of a store that is missing once it was made what it is: about to come, or to go."""
    try:
        yield
    except NotPrepared as error:
        raise Unavailable(str(error)) from error
