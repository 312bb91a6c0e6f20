"""The wrapper of every HTTP function: errors become answers, each request a line of the log."""

import functools
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from shared.errors import RegistryError, Unavailable, Unknown
from shared.storage import ports
from shared.storage.rows.registries import StateRefused
from shared.wire import response

type Handler = Callable[..., Awaitable[Response]]

_log = logging.getLogger(__name__)

_TOLD = 500
_CORRELATION = "X-Ms-Correlation-Request-Id"
_EXPOSED = ("Docker-Content-Digest", "WWW-Authenticate", "Link", _CORRELATION)


def operation(handler: Handler) -> Handler:
    """Answer with the envelope where the handler raises; add the headers of all answers.

    The signature stays: the worker looks through the wrapper, and calls by keyword.
    """

    @functools.wraps(handler)
    async def wrapped(*args: object, **kwargs: object) -> Response:
        started = time.perf_counter()
        correlation, refusal = str(uuid.uuid4()), ""
        _request(args, kwargs).state.correlation = correlation
        try:
            answer = await handler(*args, **kwargs)
        except RegistryError as error:
            answer, refusal = response.failure(error), _told(error)
        except ports.Unavailable as error:
            _log.warning("%s: storage: %s", correlation, error)
            answer = response.failure(Unavailable(seconds=error.seconds))
        except StateRefused as error:
            _log.error("%s: %s", correlation, error)
            answer = response.failure(Unknown(detail={"correlation": correlation}))
        except ClientDisconnect:
            answer = response.empty(400)
        except Exception:  # noqa: BLE001 - nothing may leave but an answer
            _log.exception("%s: %s failed", correlation, handler.__name__)
            answer = response.failure(Unknown(detail={"correlation": correlation}))
        if _request(args, kwargs).method == "HEAD":
            answer.body = b""
        _finish(answer, correlation)
        _log.info(
            "%s %s %s %.1f ms %s%s",
            handler.__name__,
            _printable(_request(args, kwargs).scope["path"]),
            answer.status_code,
            (time.perf_counter() - started) * 1_000,
            correlation,
            refusal,
        )
        return answer

    return wrapped


def _told(error: RegistryError) -> str:
    """Say why a request was refused, as its line of the log is to say it."""
    detail = "" if error.detail is None else f" {error.detail}"
    return _printable(f" {error.code}: {error}{detail}")[:_TOLD]


def _printable(text: str) -> str:
    """Leave out what would begin another line of the log, or command the terminal that shows it."""
    return "".join(filter(str.isprintable, text))


def _request(args: tuple[object, ...], kwargs: Mapping[str, object]) -> Request:
    return next(arg for arg in (*args, *kwargs.values()) if isinstance(arg, Request))


def _finish(answer: Response, correlation: str) -> None:
    answer.headers["Docker-Distribution-API-Version"] = "registry/2.0"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers[_CORRELATION] = correlation
    for name in _EXPOSED:
        answer.headers.append("Access-Control-Expose-Headers", name)
