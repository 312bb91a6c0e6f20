"""Mends of Microsoft's worker (azure-functions-runtime 1.3.0), for that version alone.

An HTTP request and its invocation come to the worker apart, in either order, and meet in its
coordinator under an invocation id:

    the worker's web server                     the invocation
    set_http_request            ─ request ─▶    get_http_request_async
    await_http_response_async   ◀─ answer ─     set_http_response

- Each side waits for the other without limit. Where the web server refuses a request (it has a
  control byte in a header, say), where a client sent an id of its own, or has hung up, the
  invocation would run on until the host restarts the process. Here they meet within
  MEETING_SECONDS, or part; how long the function then runs is its own affair.
- What the coordinator knows of a request stays for the life of the process, some 2 KB each. Here it
  is forgotten when the answer goes out.
- The web server logs each request with its URL, upload tokens included, and switches its logger on
  after this app is loaded. A filter on the logger stays.
"""

import asyncio
import logging
import sys
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

VERSION = "1.3.0"
MEETING_SECONDS = 10.0


class RequestMissing(TimeoutError):
    """An invocation whose request did not come."""


def mend() -> None:
    """Mend the worker that runs this process, if it is the one that needs it."""
    logging.getLogger("uvicorn.access").addFilter(_nothing)
    library = sys.modules.get("azure_functions_runtime.http_v2")
    version = sys.modules.get("azure_functions_runtime.version")
    if library is None or getattr(version, "VERSION", "") != VERSION:
        return
    library.http_coordinator.__class__ = _mended(library.HttpCoordinator)


def _nothing(_: logging.LogRecord) -> bool:
    return False


def _mended(library: Any) -> Any:
    class Coordinator(library):  # type: ignore[misc]
        """The library's, where the two sides meet in time or part, once for each id."""

        def set_http_request(self, invoc_id: str, http_request: Any) -> None:
            _refuse_second(self._context_references.get(invoc_id))
            super().set_http_request(invoc_id, http_request)
            self._context_references[invoc_id].has_request = True

        async def get_http_request_async(self, invoc_id: str) -> Any:
            try:
                async with asyncio.timeout(MEETING_SECONDS):
                    request = await super().get_http_request_async(invoc_id)
            except TimeoutError:
                message = f"no request came for this invocation within {MEETING_SECONDS} s"
                raise RequestMissing(message) from None
            _met(self._context_references[invoc_id]).set()
            return request

        def set_http_response(self, invoc_id: str, http_response: Any) -> None:
            if isinstance(http_response, RequestMissing):
                self._context_references.pop(invoc_id, None)
            else:
                super().set_http_response(invoc_id, http_response)

        async def await_http_response_async(self, invoc_id: str) -> Any:
            try:
                async with asyncio.timeout(MEETING_SECONDS):
                    await _met(self._context_references[invoc_id]).wait()
                return await super().await_http_response_async(invoc_id)
            except TimeoutError:
                return Response(status_code=503)
            finally:
                self._context_references.pop(invoc_id, None)

    return Coordinator


def _refuse_second(context: Any) -> None:
    """Refuse a request under an id that has had one: it is a client's own, and not its answer."""
    if getattr(context, "has_request", False):
        raise HTTPException(409)


def _met(context: Any) -> asyncio.Event:
    """Give the event of one pair: its invocation has the request."""
    event: asyncio.Event = vars(context).setdefault("met", asyncio.Event())
    return event
