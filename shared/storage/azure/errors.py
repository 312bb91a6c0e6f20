"""Azure's exceptions, turned into the four of the ports.

By the time one is seen here the SDK has repeated the call. A repeated write may meet its own first
try, which Azure carried out and then failed to acknowledge: an Insert ends in Conflict, a Delete in
NotFound, an Update with an ETag in Conflict, an object's commit in Conflict. Nothing here can tell
that from another's write. Whoever gets such an answer reads again and compares.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.rest import HttpResponse

from shared.storage.ports import Conflict, NotFound, NotPrepared, Unavailable

_MISSING_STORES = {"TableNotFound", "ContainerNotFound", "QueueNotFound"}
_CONFLICTS = {
    "BlobAlreadyExists",
    "ConditionNotMet",
    "EntityAlreadyExists",
    "PopReceiptMismatch",
    "UpdateConditionNotSatisfied",
}
_MISSING = {
    "BlobNotFound",
    "EntityNotFound",
    "InvalidBlockList",
    "MessageNotFound",
    "ResourceNotFound",
}
_FAULTS = {400, 411, 413, 414, 416}

# Table answers carry the code in the body alone, and the SDK does not always look there.
_CODE_IN_BODY = re.compile(r'"code"\s*:\s*"(\w+)"')


@contextmanager
def translated(*names: str) -> Iterator[None]:
    """Turn an Azure exception into a port's; `names` are the rows or the object it is about."""
    try:
        yield
    except AzureError as error:
        raise translate(error, names) from error


def translate(error: AzureError, names: Sequence[str]) -> Exception:
    """Say in a port's words what the SDK raised."""
    if not isinstance(error, HttpResponseError) or error.response is None:
        return Unavailable(f"{names[0]}: {error}")
    # The SDK's type of a response leaves out what all its responses have.
    response = cast("HttpResponse", error.response)
    index = getattr(error, "index", 0)
    pause = response.headers.get("Retry-After", "")
    return named(
        names[index],
        response.status_code,
        _code(error, response),
        index=index,
        seconds=int(pause) if pause.isdecimal() else 1,
    )


def named(what: str, status: int, code: str, *, index: int = 0, seconds: int = 1) -> Exception:
    """Give the error for an answer of this status and code about `what`.

    A ValueError is a call that Azure will never take: a fault of the caller, not of the store.
    A refusal of our credential counts as Unavailable: roles take minutes to reach the store.
    """
    if code in _MISSING_STORES:
        return NotPrepared(f"{what}: {code}")
    if code in _MISSING:
        return NotFound(what, index)
    if code in _CONFLICTS:
        return Conflict(what, index)
    if status in _FAULTS:
        return ValueError(f"{what}: {status} {code}")
    return Unavailable(f"{what}: {status} {code}", seconds)


def _code(error: HttpResponseError, response: HttpResponse) -> str:
    """Find the name Azure has for what went wrong; empty without one."""
    code = getattr(error, "error_code", None)
    if code:
        return str(getattr(code, "value", code))
    if "x-ms-error-code" in response.headers:
        return response.headers["x-ms-error-code"]
    in_body = _CODE_IN_BODY.search(response.text())
    return in_body[1] if in_body else ""
