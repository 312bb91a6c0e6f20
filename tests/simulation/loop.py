"""The loop: runs the tasks of a simulation until all of them wait, and knows of nothing outside.

There are no sockets and no timers: what takes time takes it on the world's clock alone. So a step
costs a fraction of what it costs in a loop that asks the system what is new.
"""

import asyncio
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextvars import Context
from typing import Any


class Loop(asyncio.BaseEventLoop):
    """An event loop that runs until all its tasks wait."""

    def __init__(self) -> None:
        super().__init__()
        self._ready: deque[asyncio.Handle] = deque()

    def start(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Start a task."""
        return asyncio.Task(work, loop=self)

    def complete[T](self, work: Coroutine[object, object, T]) -> T:
        """Run to the end, and give the result."""
        task = asyncio.Task(work, loop=self)
        self.settle()
        return task.result()

    def settle(self) -> None:
        """Run until nothing is ready."""
        ready = self._ready
        events._set_running_loop(self)
        try:
            while ready:
                ready.popleft()._run()
        finally:
            events._set_running_loop(None)

    def call_soon[*Ts](
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Run something once those are through that are ready."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at[*Ts](
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Never come to it: time stands still here."""
        return asyncio.TimerHandle(when, callback, args, self, context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Have nothing to forget."""

    def run_in_executor[*Ts, T](
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Do at once what would go to a thread."""
        done: asyncio.Future[T] = self.create_future()
        done.set_result(func(*args))
        return done

    def time(self) -> float:
        """Tell the loop's time."""
        return 0.0

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Raise what nobody else could."""
        raise context.get("exception") or RuntimeError(context["message"])


def at_once[T](work: Coroutine[object, object, T]) -> T:
    """Run a coroutine that has nothing to wait for."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("it waits for something")
