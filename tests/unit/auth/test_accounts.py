import asyncio

import pytest

from shared.auth import accounts as module
from shared.auth.accounts import Accounts
from shared.auth.passwords import Passwords
from shared.auth.scopes import EVERYTHING
from shared.storage import keys
from shared.storage.ports import Row
from tests.support.app import Memory
from tests.support.clock import Ids
from tests.unit.auth.conftest import NAME, PASSWORD, Now
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

    async def fits(name: str, password: str, hashed: str) -> bool:
        compared.append(hashed)
        return True

    monkeypatch.setattr(accounts._passwords, "fits", fits)
    assert await accounts.log_in("nobody", "x") is None
    assert compared == [module._NOBODY]


async def test_an_account_belongs_to_one_generation(prepared: Memory, accounts: Accounts) -> None:
    assert (
        await Accounts(prepared.rows, "h" * 32, Passwords(), Ids()).log_in(NAME, PASSWORD) is None
    )


async def test_a_new_password_ends_the_old_one_and_its_stamp(accounts: Accounts) -> None:
    before = await accounts.get(NAME)
    assert before
    await accounts.set_password(NAME, "another")
    assert await accounts.log_in(NAME, PASSWORD) is None
    assert await accounts.log_in(NAME, "another")
    assert await accounts.find(NAME, before.stamp) is None


async def test_an_account_is_created_once(prepared: Memory, accounts: Accounts) -> None:
    before = await prepared.rows.get(keys.ACCOUNTS, GENERATION, NAME)
    others = Accounts(prepared.rows, GENERATION, Passwords(), Ids())
    for password in (PASSWORD, "another"):
        await others.create(NAME, password)
        assert await prepared.rows.get(keys.ACCOUNTS, GENERATION, NAME) == before
    await others.create("other", "its own")
    assert await accounts.log_in("other", "its own")


async def test_two_who_create_an_account_at_once_make_one(prepared: Memory) -> None:
    both = [Accounts(prepared.rows, "h" * 32, Passwords(), Ids()) for _ in range(2)]
    await asyncio.gather(*(one.create(NAME, f"by {place}") for place, one in enumerate(both)))
    assert [await both[0].has_password(NAME, f"by {place}") for place in range(2)].count(True) == 1


async def test_who_is_disabled_is_not_let_in_until_there_is_a_new_password(
    accounts: Accounts, stamp: str
) -> None:
    assert await accounts.disable(NAME)
    assert await accounts.log_in(NAME, PASSWORD) is None
    assert await accounts.get(NAME) is None
    assert await accounts.find(NAME, stamp) is None
    assert not await accounts.stands(NAME, stamp)
    await accounts.create(NAME, PASSWORD)
    assert await accounts.log_in(NAME, PASSWORD) is None
    await accounts.set_password(NAME, "another")
    assert await accounts.log_in(NAME, "another")
    assert not await accounts.stands(NAME, stamp)
    assert not await accounts.disable("nobody")


@pytest.mark.parametrize("change", ["password", "disable"])
async def test_another_process_hears_of_a_change_within_a_minute(
    prepared: Memory, accounts: Accounts, stamp: str, now: Now, change: str
) -> None:
    other = Accounts(prepared.rows, GENERATION, Passwords(), Ids())
    assert await other.stands(NAME, stamp)
    await (accounts.set_password(NAME, "b") if change == "password" else accounts.disable(NAME))
    assert not await accounts.stands(NAME, stamp)
    now.seconds += 59
    assert await other.stands(NAME, stamp)
    now.seconds += 2
    assert not await other.stands(NAME, stamp)


async def test_an_account_is_read_once_a_minute_for_its_tokens(
    prepared: Memory, accounts: Accounts, stamp: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, get = [], prepared.rows.get

    async def counted(table: str, partition: str, key: str) -> Row | None:
        read.append(key)
        await asyncio.sleep(0)
        return await get(table, partition, key)

    monkeypatch.setattr(prepared.rows, "get", counted)
    other = Accounts(prepared.rows, GENERATION, Passwords(), Ids())
    assert all(await asyncio.gather(*(other.stands(NAME, stamp) for _ in range(50))))
    assert await other.stands(NAME, stamp)
    assert read == [NAME]


async def test_a_password_is_compared_for_whoever_starts_the_registry(accounts: Accounts) -> None:
    assert await accounts.has_password(NAME, PASSWORD) is True
    assert await accounts.has_password(NAME, "another") is False
    assert await accounts.has_password("nobody", PASSWORD) is None


async def test_an_account_is_found_by_its_name_and_stamp(accounts: Accounts) -> None:
    caller = await accounts.get(NAME)
    assert caller
    assert await accounts.find(NAME, caller.stamp) == caller
    assert await accounts.find(NAME, "") is None
    assert await accounts.find("nobody", caller.stamp) is None
