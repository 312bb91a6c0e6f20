"""The wrapper of every HTTP function: errors become answers, each request a line of the log."""

import functools
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import quote, urlencode

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from shared.errors import RangeInvalid, RegistryError, Unavailable, Unknown
from shared.storage import ports
from shared.wire import response

type Handler = Callable[..., Awaitable[Response]]

_log = logging.getLogger(__name__)

_BREAKS = dict.fromkeys((*range(32), 127, 133, 8232, 8233))
"""What would begin another line of the log."""

_CORRELATION = "X-Ms-Correlation-Request-Id"
_EXPOSED = ("Docker-Content-Digest", "WWW-Authenticate", "Link", _CORRELATION)


def operation(handler: Handler) -> Handler:
    """Answer with the envelope where the handler raises; add the headers of all answers.

    The signature stays: the worker looks through the wrapper, and calls by keyword.
    """

    @functools.wraps(handler)
    async def wrapped(*args: object, **kwargs: object) -> Response:
        started = time.perf_counter()
        correlation = str(uuid.uuid4())
        _request(args, kwargs).state.correlation = correlation
        try:
            answer = await handler(*args, **kwargs)
        except RegistryError as error:
            answer = response.failure(error)
            if isinstance(error, RangeInvalid) and error.offset is not None:
                answer.headers["Location"] = _own_url(_request(args, kwargs))
        except ports.Unavailable as error:
            _log.warning("%s: storage: %s", correlation, error)
            answer = response.failure(Unavailable(seconds=error.seconds))
        except ClientDisconnect:
            answer = response.empty(400)
        except Exception:  # noqa: BLE001 - nothing may leave but an answer
            _log.exception("%s: %s failed", correlation, handler.__name__)
            answer = response.failure(Unknown(detail={"correlation": correlation}))
        _finish(answer, correlation)
        _log.info(
            "%s %s %s %.1f ms %s",
            handler.__name__,
            _request(args, kwargs).scope["path"].translate(_BREAKS),
            answer.status_code,
            (time.perf_counter() - started) * 1_000,
            correlation,
        )
        return answer

    return wrapped


def _request(args: tuple[object, ...], kwargs: Mapping[str, object]) -> Request:
    return next(arg for arg in (*args, *kwargs.values()) if isinstance(arg, Request))


def _own_url(request: Request) -> str:
    """Give where an upload goes on that a misplaced part has not moved."""
    kept = [pair for pair in request.query_params.multi_items() if pair[0] != "digest"]
    return f"{quote(request.scope['path'], safe='/:')}?{urlencode(kept)}"


def _finish(answer: Response, correlation: str) -> None:
    answer.headers["Docker-Distribution-API-Version"] = "registry/2.0"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers[_CORRELATION] = correlation
    for name in _EXPOSED:
        answer.headers.append("Access-Control-Expose-Headers", name)
