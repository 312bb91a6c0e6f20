import asyncio
import threading
from collections.abc import Iterator

import pytest

from shared.auth import passwords
from shared.auth.passwords import MISFIT_SECONDS, THREADS, WAITING, Passwords, hash_password
from shared.errors import TooManyRequests
from tests.unit.auth.conftest import NAME, Now


class Slow:
    """scrypt that takes until it is let go."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.tried: list[str] = []
        self.most = 0
        self._now = 0
        self._scrypt = passwords._scrypt

    def __call__(self, password: str, salt: bytes) -> bytes:
        self.tried.append(password)
        self._now += 1
        self.most = max(self.most, self._now)
        self.gate.wait(10)
        self._now -= 1
        return self._scrypt(password, salt)


@pytest.fixture
def hashed() -> str:
    return hash_password("secret")


@pytest.fixture
def slow(hashed: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    made = Slow()
    monkeypatch.setattr(passwords, "_scrypt", made)
    yield made
    made.gate.set()


@pytest.fixture
def counted(slow: Slow) -> Slow:
    slow.gate.set()
    return slow


async def test_a_password_fits_its_own_hash_alone(hashed: str) -> None:
    assert await Passwords().fits(NAME, "secret", hashed)
    for other in ("Secret", "secret ", "", "sécret"):
        assert not await Passwords().fits(NAME, other, hashed)


async def test_a_hash_is_salted_and_shows_nothing() -> None:
    one, two = hash_password("secret"), await Passwords().hash("secret")
    assert one != two
    assert one.startswith("scrypt$")
    assert two.startswith("scrypt$")
    assert "secret" not in one + two


async def test_a_fit_is_remembered_and_a_misfit_for_some_seconds(
    hashed: str, counted: Slow, now: Now
) -> None:
    kept = Passwords()
    for password in ("secret", "wrong", "secret", "wrong"):
        assert await kept.fits(NAME, password, hashed) is (password == "secret")
    assert counted.tried == ["secret", "wrong"]
    now.seconds += MISFIT_SECONDS
    assert not await kept.fits(NAME, "wrong", hashed)
    assert await kept.fits(NAME, "secret", hashed)
    assert counted.tried == ["secret", "wrong", "wrong"]


async def test_a_changed_password_is_right_at_once_and_the_old_one_wrong() -> None:
    kept, old, new = Passwords(), hash_password("old"), hash_password("new")
    assert await kept.fits(NAME, "old", old)
    assert not await kept.fits(NAME, "new", old)
    assert not await kept.fits(NAME, "old", new)
    assert await kept.fits(NAME, "new", new)


async def test_the_same_wrong_password_costs_each_name_a_hash(hashed: str, counted: Slow) -> None:
    kept = Passwords()
    for name in ("nobody", "nobodyelse"):  # both are compared with the same hash
        assert not await kept.fits(name, "wrong", hashed)
    assert counted.tried == ["wrong", "wrong"]


async def test_who_asks_for_the_same_at_once_waits_for_one_hash(hashed: str, slow: Slow) -> None:
    kept = Passwords()
    asked = [asyncio.create_task(kept.fits(NAME, "secret", hashed)) for _ in range(200)]
    await asyncio.sleep(0.01)
    slow.gate.set()
    assert all(await asyncio.gather(*asked))
    assert slow.tried == ["secret"]


async def test_a_flood_runs_on_few_threads_and_is_sent_away(hashed: str, slow: Slow) -> None:
    kept = Passwords()
    asked = [asyncio.create_task(kept.fits(NAME, f"wrong {n}", hashed)) for n in range(300)]
    await asyncio.sleep(0.05)
    away = [one for one in asked if one.done()]
    assert len(away) == 300 - WAITING
    for one in away:
        refused = one.exception()
        assert isinstance(refused, TooManyRequests)
        assert refused.headers == {"Retry-After": "2"}
    slow.gate.set()
    assert await asyncio.gather(*(one for one in asked if one not in away)) == [False] * WAITING
    assert slow.most <= THREADS
    assert await kept.fits(NAME, "secret", hashed)


async def test_who_is_known_gets_through_a_flood(hashed: str, slow: Slow) -> None:
    kept = Passwords()
    slow.gate.set()
    assert await kept.fits(NAME, "secret", hashed)
    slow.gate.clear()
    asked = [asyncio.create_task(kept.fits(NAME, f"wrong {n}", hashed)) for n in range(WAITING)]
    await asyncio.sleep(0.01)
    assert await kept.fits(NAME, "secret", hashed)
    slow.gate.set()
    await asyncio.gather(*asked)


async def test_a_very_long_password_is_not_even_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = hash_password("a" * 1_025)
    monkeypatch.delattr(passwords, "_scrypt")
    assert not await Passwords().fits(NAME, "a" * 1_025, hashed)
