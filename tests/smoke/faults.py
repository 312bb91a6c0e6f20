"""Faults of a deployment: each spoils one thing on the way to a registry, or back."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import replace

from tests.smoke.spoiling import Answered, Ask, Asked, Fault

HANGS_SECONDS = 60

type Is = Callable[[Asked], bool]


def under(*methods: str, part: str = "/", has: str = "") -> Is:
    """Tell requests by method, by a part of the path, and by a header they have."""

    def matches(asked: Asked) -> bool:
        return asked.method in methods and part in asked.path and (not has or has in asked.headers)

    return matches


def nth(number: int, matches: Is) -> Is:
    """Tell one request of those that match, counted from 1."""
    count = itertools.count(1)
    return lambda asked: matches(asked) and next(count) == number


async def nothing(asked: Asked, ask: Ask) -> Answered:
    """Spoil nothing."""
    return await ask(asked)


def together(*faults: Fault) -> Fault:
    """Have several in force at once."""

    async def fault(asked: Asked, ask: Ask) -> Answered:
        for one in faults:
            ask = _before(one, ask)
        return await ask(asked)

    return fault


def _before(fault: Fault, ask: Ask) -> Ask:
    return lambda asked: fault(asked, ask)


def answers(is_spoiled: Is, status: int, **headers: str) -> Fault:
    """Answer in place of the registry."""

    async def fault(asked: Asked, ask: Ask) -> Answered:
        return Answered(status, headers) if is_spoiled(asked) else await ask(asked)

    return fault


def hangs(is_spoiled: Is) -> Fault:
    """Never answer."""

    async def fault(asked: Asked, ask: Ask) -> Answered:
        if is_spoiled(asked):
            await asyncio.sleep(HANGS_SECONDS)
        return await ask(asked)

    return fault


def drops(header: str, is_spoiled: Is) -> Fault:
    """Lose a header of the request."""

    async def fault(asked: Asked, ask: Ask) -> Answered:
        if not is_spoiled(asked):
            return await ask(asked)
        kept = {name: value for name, value in asked.headers.items() if name != header}
        return await ask(replace(asked, headers=kept))

    return fault


def loses(header: str, is_spoiled: Is) -> Fault:
    """Lose a header of the answer."""

    async def fault(asked: Asked, ask: Ask) -> Answered:
        answer = await ask(asked)
        if is_spoiled(asked):
            answer.headers.pop(header, None)
        return answer

    return fault


def rewrites(header: str, old: str, new: str) -> Fault:
    """Write a header of the answers otherwise."""

    async def fault(asked: Asked, ask: Ask) -> Answered:
        answer = await ask(asked)
        if header in answer.headers:
            answer.headers[header] = answer.headers[header].replace(old, new)
        return answer

    return fault


def refuses_bodies(has: str, limit: int) -> Fault:
    """Refuse bodies over a limit, of requests that have a header."""

    async def fault(asked: Asked, ask: Ask) -> Answered:
        is_large = has in asked.headers and len(asked.body) > limit
        return Answered(500) if is_large else await ask(asked)

    return fault


async def redirects_to_a_login(asked: Asked, ask: Ask) -> Answered:
    """Lead to a place where nobody gets anything without having logged in."""
    if asked.path == "/locked" and "authorization" not in asked.headers:
        return Answered(401)
    answer = await ask(asked)
    if answer.status == 307:
        answer.headers["location"] = "/locked"
    return answer


def redirects_without_ranges() -> Fault:
    """Lead to a place that gives all, whatever part is asked for."""
    where: list[str] = []

    async def fault(asked: Asked, ask: Ask) -> Answered:
        if asked.path == "/storage":
            return await ask(Asked("GET", where[-1], {}, b""))
        answer = await ask(asked)
        if answer.status == 307:
            where.append(answer.headers["location"])
            answer.headers["location"] = "/storage"
        return answer

    return fault


async def takes_any_digest(asked: Asked, ask: Ask) -> Answered:
    """Say that all is well with bytes of another digest."""
    answer = await ask(asked)
    return Answered(201) if b"DIGEST_INVALID" in answer.body else answer


async def writes_json_anew(asked: Asked, ask: Ask) -> Answered:
    """Change the bytes of a manifest, as who reads and writes JSON does."""
    answer = await ask(asked)
    if asked.method == "GET" and "/manifests/one" in asked.path and answer.status == 200:
        answer.body = answer.body.replace(b":", b": ")
        answer.headers["content-length"] = str(len(answer.body))
    return answer


def caches_tags() -> Fault:
    """Give the tags as they were."""
    kept: dict[str, Answered] = {}

    async def fault(asked: Asked, ask: Ask) -> Answered:
        if asked.target in kept:
            return kept[asked.target]
        answer = await ask(asked)
        if "/tags/list" in asked.path and answer.status == 200:
            kept[asked.target] = answer
        return answer

    return fault
