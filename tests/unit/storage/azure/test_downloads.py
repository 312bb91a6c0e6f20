import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from aiohttp import ClientResponseError, ClientSession, RequestInfo
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from shared.storage.azure import downloads
from shared.storage.ports import Unavailable


class Garbled:
    """A session whose answers are no HTTP: of these aiohttp tells the address."""

    @asynccontextmanager
    async def get(self, url: URL, **_: Any) -> AsyncIterator[None]:
        headers: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict())
        asked = RequestInfo(url, "GET", headers, url)
        raise ClientResponseError(asked, (), status=400, message="Bad status line")
        yield


async def sign() -> str:
    return "http://storage.test/content/name?sig=secret"


async def test_a_failure_does_not_tell_the_signed_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "pause", lambda _: 0)
    session = cast("ClientSession", Garbled())
    with pytest.raises(Unavailable, match="object name: Bad status line") as caught:
        async for _ in downloads.stream(session, sign, "name", 0, None):
            pass
    assert "secret" not in "".join(traceback.format_exception(caught.value))
