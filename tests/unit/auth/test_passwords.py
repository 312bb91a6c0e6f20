import pytest

from shared.auth import passwords
from shared.auth.passwords import Passwords, hash_password


async def test_a_password_fits_its_own_hash_alone() -> None:
    hashed = hash_password("secret")
    assert await Passwords().fits("secret", hashed)
    for other in ("Secret", "secret ", "", "sécret"):
        assert not await Passwords().fits(other, hashed)


def test_a_hash_is_salted_and_shows_nothing() -> None:
    one, two = hash_password("secret"), hash_password("secret")
    assert one != two
    assert one.startswith("scrypt$")
    assert "secret" not in one + two


async def test_a_fit_is_remembered_and_a_misfit_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    scrypt = passwords._scrypt

    def counted(password: str, salt: bytes) -> bytes:
        tried.append(password)
        return scrypt(password, salt)

    hashed, kept = hash_password("secret"), Passwords()
    monkeypatch.setattr(passwords, "_scrypt", counted)
    for password in ("secret", "wrong", "secret", "wrong"):
        assert await kept.fits(password, hashed) is (password == "secret")
    assert tried == ["secret", "wrong", "wrong"]


async def test_a_remembered_password_does_not_fit_the_hash_of_the_next() -> None:
    kept = Passwords()
    assert await kept.fits("old", hash_password("old"))
    assert not await kept.fits("old", hash_password("new"))


async def test_a_very_long_password_is_not_even_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = hash_password("a" * 1_025)
    monkeypatch.delattr(passwords, "_scrypt")
    assert not await Passwords().fits("a" * 1_025, hashed)
