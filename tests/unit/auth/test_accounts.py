import pytest

from shared.auth import accounts as module
from shared.auth.accounts import Accounts
from shared.auth.scopes import EVERYTHING
from shared.storage import keys
from tests.support.app import Memory
from tests.unit.auth.conftest import NAME, PASSWORD
from tests.unit.conftest import GENERATION


async def test_the_right_name_and_password_log_in(accounts: Accounts) -> None:
    caller = await accounts.log_in(NAME, PASSWORD)
    assert caller
    assert (caller.name, caller.actions) == (NAME, EVERYTHING)


@pytest.mark.parametrize(
    ("name", "password"),
    [
        (NAME, ""),
        (NAME, PASSWORD + " "),
        (NAME.upper(), PASSWORD),
        ("nobody", PASSWORD),
        ("nobody", ""),
        ("", ""),
        ("ädmin", PASSWORD),
        ("ad/min", PASSWORD),
        ("a" * 65, PASSWORD),
    ],
)
async def test_any_other_does_not(accounts: Accounts, name: str, password: str) -> None:
    assert await accounts.log_in(name, password) is None


async def test_an_unknown_name_costs_a_hash_as_a_wrong_password_does(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []

    async def fits(password: str, hashed: str) -> bool:
        compared.append(hashed)
        return True

    monkeypatch.setattr(accounts._passwords, "fits", fits)
    assert await accounts.log_in("nobody", "x") is None
    assert compared == [module._NOBODY]


async def test_an_account_belongs_to_one_generation(prepared: Memory, accounts: Accounts) -> None:
    assert await Accounts(prepared.rows, "h" * 32).log_in(NAME, PASSWORD) is None


async def test_a_new_password_ends_the_old_one_and_its_stamp(accounts: Accounts) -> None:
    before = await accounts.get(NAME)
    assert before
    await accounts.set_password(NAME, "another")
    assert await accounts.log_in(NAME, PASSWORD) is None
    assert await accounts.log_in(NAME, "another")
    assert await accounts.find(NAME, before.stamp) is None


async def test_the_same_password_changes_nothing(prepared: Memory, accounts: Accounts) -> None:
    before = await prepared.rows.get(keys.ACCOUNTS, GENERATION, NAME)
    await Accounts(prepared.rows, GENERATION).set_password(NAME, PASSWORD)
    assert await prepared.rows.get(keys.ACCOUNTS, GENERATION, NAME) == before


async def test_an_account_is_found_by_its_name_and_stamp(accounts: Accounts) -> None:
    caller = await accounts.get(NAME)
    assert caller
    assert await accounts.find(NAME, caller.stamp) == caller
    assert await accounts.find(NAME, "") is None
    assert await accounts.find("nobody", caller.stamp) is None
