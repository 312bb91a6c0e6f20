"""Checks: what one is, and how it is run.

    room = Room("login")

    @room.check("Basic", "a user name and its password are taken")
    async def takes_basic(site: Site) -> str:

A check gives what it saw, if that is what is promised; else it raises Differs with what it saw, or
NotChecked. What breaks off, or does not end in time, differs.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx

from infra.azure.smoke.findings import Differs, Finding, NotChecked, Verdict, broken
from infra.azure.smoke.options import Options
from infra.azure.smoke.site import Site

type Look = Callable[[Site], Awaitable[str]]
type Promise = str | Callable[[Options], str]
type Seconds = float | Callable[[Options], float]

USUAL_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Check:
    """A check: its name, what is promised, and for how many seconds it may look."""

    name: str
    promise: Promise
    look: Look
    seconds: Seconds

    async def run(self, site: Site) -> Finding:
        """Look, and say what came of it."""
        began = time.monotonic()
        verdict, seen = await self._seen(site)
        promise = self.promise if isinstance(self.promise, str) else self.promise(site.options)
        seconds = round(time.monotonic() - began, 3)
        return Finding(self.name, verdict, seconds, promise, seen)

    async def _seen(self, site: Site) -> tuple[Verdict, str]:
        limit = self.seconds(site.options) if callable(self.seconds) else self.seconds
        try:
            async with asyncio.timeout(limit):
                return Verdict.AS_PROMISED, await self.look(site)
        except Differs as error:
            return Verdict.DIFFERS, str(error)
        except NotChecked as error:
            return Verdict.NOT_CHECKED, str(error)
        except TimeoutError:
            return Verdict.DIFFERS, f"no end within {limit:.0f} s"
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return Verdict.DIFFERS, broken(error)


@dataclass(slots=True)
class Room:
    """The checks of one subject, in order."""

    name: str
    checks: list[Check] = field(default_factory=list)

    def check(
        self, name: str, promise: Promise, seconds: Seconds = USUAL_SECONDS
    ) -> Callable[[Look], Look]:
        """Make a function a check of this room."""

        def add(look: Look) -> Look:
            self.checks.append(Check(f"{self.name} {name}", promise, look, seconds))
            return look

        return add
