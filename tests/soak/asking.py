"""How a client asks: again, where it was answered with 5xx or not at all, and with growing pauses.

What breaks a promise ends the soak; what is never answered is for the actor to know nothing of.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp
import httpx
from yarl import URL

from tests.support.flows import authorization
from tests.support.hosts import Registry

TRIES = 12
_LOG_IN = 401
_NO_ANSWER = {_LOG_IN, 429, 500, 502, 503, 504}


class BrokenPromise(Exception):
    """The registry did not do what it had promised."""


class NoAnswerError(Exception):
    """The registry did not answer, however often it was asked."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and how often had been asked before: then an earlier try may have worked."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    attempt: int


class Login:
    """A token for some repositories, which is asked for again when it has ended."""

    def __init__(self, registry: Registry, repositories: Sequence[str]) -> None:
        self._registry = registry
        self._scope = " ".join(f"repository:{name}:pull,push,delete" for name in repositories)
        self.url, self.header = registry.url, ""

    async def renew(self) -> None:
        """Ask for another, until there is one."""
        for attempt in range(TRIES):
            await asyncio.sleep(min(attempt, 5) / 2)
            try:
                header = await asyncio.to_thread(authorization, self._registry, self._scope)
            except (httpx.HTTPError, AssertionError):  # no answer, or none that is a token
                continue
            self.header = header
            return
        raise NoAnswerError(f"no token for {self._scope}")


@dataclass
class Asker:
    """Asks one registry for one actor; `habits` draws what no decision hangs on."""

    name: str
    session: aiohttp.ClientSession
    login: Login
    habits: random.Random
    did: Counter[str] = field(default_factory=Counter)

    async def expect(
        self,
        statuses: set[int],
        method: str,
        path: str,
        content: bytes = b"",
        media_type: str = "",
    ) -> Answer:
        """Ask until there is an answer."""
        for attempt in range(TRIES):
            answer = await self.ask(method, path, content, media_type, attempt=attempt)
            if answer and answer.status in statuses:
                return answer
            if answer:
                raise self.broken(method, path, answer)
        raise NoAnswerError(f"{method} {path}")

    async def ask(
        self,
        method: str,
        path: str,
        content: bytes = b"",
        media_type: str = "",
        *,
        attempt: int = 0,
    ) -> Answer | None:
        """Ask once; None where the answer says nothing of what was asked."""
        if attempt:
            await asyncio.sleep(self.habits.random() * min(attempt, 5) / 2)
        address = path if path.startswith("http") else self.login.url + path
        headers = {"Authorization": self.login.header}
        headers |= {"Content-Type": media_type} if media_type else {}
        try:
            async with self.session.request(
                method, URL(address, encoded=True), data=content or None, headers=headers
            ) as got:
                answer = Answer(got.status, got.headers, await got.read(), attempt)
        except (aiohttp.ClientError, TimeoutError):
            self.did["broken connection"] += 1
            return None
        self.did[f"{answer.status}"] += 1
        if answer.status == _LOG_IN:
            await self.login.renew()
        return None if answer.status in _NO_ANSWER else answer

    def broken(self, method: str, path: str, answer: Answer) -> BrokenPromise:
        """Say which answer breaks a promise."""
        said = answer.content.decode(errors="replace")[:300]
        return BrokenPromise(f"{self.name}: {method} {path}: {answer.status} {said}")
