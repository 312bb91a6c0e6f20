"""Downloads: an object of Azure Blob storage as one streamed answer.

The SDK reads an object in ranges and holds four of them at a time. Of 100 MiB in ranges of 4 MiB
that makes 25 calls and 16 MiB; a signed address, read as a stream, makes one call and 1 MiB, in a
quarter of the processor's time (measured). A stream that breaks goes on from where it broke.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus

from aiohttp import (
    ClientError,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
)
from yarl import URL

from shared.storage.azure import answers
from shared.storage.azure.account.tries import CONNECT_SECONDS, READ_SECONDS, RETRIES, pause
from shared.storage.azure.errors import named
from shared.storage.ports import Unavailable

_PIECE_BYTES = 256 * 1024
_TIMES = ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS)

type Sign = Callable[[], Awaitable[str]]


async def stream(
    session: ClientSession, sign: Sign, name: str, start: int, end: int | None
) -> AsyncGenerator[bytes]:
    """Read the bytes from `start` to before `end`; nothing where the object is shorter.

    Raises:
        NotFound, NotPrepared: there is no object, no container.
        Unavailable: it broke off, and again on each retry without a byte in between, or in all the
            tries of some time (`answers.PATIENCE`).
    """
    tries, last = 0, time.monotonic()
    while True:
        try:
            async with _get(session, await sign(), start, end) as answer:
                if not _is_empty(answer, name):
                    async for piece in answer.content.iter_chunked(_PIECE_BYTES):
                        yield piece
                        start += len(piece)
                        tries, last = 0, time.monotonic()
        except (ClientError, TimeoutError, Unavailable) as error:
            tries += 1
            if tries > RETRIES or time.monotonic() - last > answers.PATIENCE.total_seconds():
                raise Unavailable(f"object {name}: {_said(error)}") from None
            await asyncio.sleep(pause(tries))
        else:
            return


def _said(error: Exception) -> str:
    """Tell an error without the signed address, which would let the log's readers in."""
    return error.message if isinstance(error, ClientResponseError) else str(error)


def _get(
    session: ClientSession, address: str, start: int, end: int | None
) -> AbstractAsyncContextManager[ClientResponse]:
    wanted = f"bytes={start}-{'' if end is None else end - 1}"
    return session.get(
        URL(address, encoded=True),
        headers={"Range": wanted} if start or end is not None else {},
        timeout=_TIMES,
        read_bufsize=_PIECE_BYTES,
    )


def _is_empty(answer: ClientResponse, name: str) -> bool:
    """Tell whether nothing of the object is in the range asked for; raise if it is not there."""
    if answer.status in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
        return False
    if answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return True
    raise named(f"object {name}", answer.status, answer.headers.get("x-ms-error-code", ""))
