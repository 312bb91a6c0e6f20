"""Floods: what one kind of request in crowds takes from the others."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice

import httpx
import pytest

from infra.devhost.storage import Azurite
from tests.support import flows, images
from tests.support.hosts import Registry, running, settings_of

pytestmark = [pytest.mark.protocol, pytest.mark.xdist_group("load")]

LOGINS = 300
ROUNDS = 5
LAYER_BYTES = 200 * 1000


@pytest.fixture(scope="module")
def registry(storage: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry whose only load is ours."""
    log = tmp_path_factory.mktemp("floods") / "log"
    with running(settings_of(storage, REGISTRY_NAME="floods"), log) as (_, served):
        yield served


async def wrong_login(client: httpx.AsyncClient, registry: Registry, number: int) -> int:
    answer = await client.get("/oauth2/token", auth=(registry.user, f"wrong {number}"))
    return answer.status_code


async def flooded(
    registry: Registry, pushing: httpx.Client, turn: int
) -> tuple[float, Counter[int]]:
    """Give how long a push takes amid wrong logins, and their answers.

    Half of them are answered before it begins: until then it is their connections that are slow.
    """
    content = images.blob(images.random_bytes(LAYER_BYTES, turn))
    unbounded = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=registry.url, limits=unbounded, timeout=60) as client:
        logins = [
            asyncio.create_task(wrong_login(client, registry, turn * LOGINS + number))
            for number in range(LOGINS)
        ]
        for answered in islice(asyncio.as_completed(logins), LOGINS // 2):
            await answered
        started = time.perf_counter()
        await asyncio.to_thread(flows.push_blob, pushing, "floods/push", content)
        seconds = time.perf_counter() - started
        return seconds, Counter(await asyncio.gather(*logins))


def test_a_flood_of_wrong_logins_delays_no_push(registry: Registry) -> None:
    """The quickest push counts: a machine with other work to do is slow by itself."""
    quickest = float("inf")
    with flows.connect(registry, "floods/push") as pushing:
        flows.push_blob(pushing, "floods/push", images.blob(b"warm"))
        for turn in range(ROUNDS):
            seconds, answers = asyncio.run(flooded(registry, pushing, turn))
            assert set(answers) == {401, 429}
            assert answers.total() == LOGINS
            quickest = min(quickest, seconds)
            if quickest < 1:
                break

    assert quickest < 1


def test_the_right_password_is_told_to_wait_or_logs_in(registry: Registry) -> None:
    """Who has logged in before is not held up; who has not may have to come back."""

    async def main() -> list[int]:
        async with httpx.AsyncClient(base_url=registry.url, timeout=60) as client:
            known = await client.get("/v2/", auth=(registry.user, registry.password))
            logins = [
                asyncio.create_task(wrong_login(client, registry, number)) for number in range(100)
            ]
            await asyncio.sleep(0.1)
            again = await client.get("/v2/", auth=(registry.user, registry.password))
            await asyncio.gather(*logins)
            return [known.status_code, again.status_code]

    assert asyncio.run(main()) == [200, 200]
