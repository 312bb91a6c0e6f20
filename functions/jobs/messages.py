"""What a message of a queue says is done by the generation of a registry that it names."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import azure.functions as func

from shared.assembly.jobs import Jobs
from shared.bootstrap import registries


class _Said(Protocol):
    @property
    def generation(self) -> str: ...


async def run[Said: _Said](
    queue: str,
    message: func.QueueMessage,
    read: Callable[[bytes], Said],
    do: Callable[[Jobs, Said], Awaitable[object]],
) -> None:
    """Read a message and do what it says; where that fails, it is sent again for later."""
    here = registries()

    async def do_it(said: Said) -> None:
        await do(await here.jobs(said.generation), said)

    await here.retries.run(queue, message.get_body(), read, do_it)
