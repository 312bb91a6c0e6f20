"""Signed addresses: which are given out again, and for how long."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.storage.azure.addresses import Addresses

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
KEY = "a key"


@pytest.fixture
def addresses() -> Addresses:
    addresses = Addresses(limit=2)
    addresses.keep("x", 1_200, KEY, NOON, "address of x")
    return addresses


@pytest.mark.parametrize(
    ("age", "given"), [(0, "address of x"), (300, "address of x"), (301, None), (-1, None)]
)
def test_an_address_is_given_for_a_quarter_of_its_life(
    addresses: Addresses, age: int, given: str | None
) -> None:
    assert addresses.get("x", 1_200, KEY, NOON + timedelta(seconds=age)) == given


def test_each_object_each_lifetime_and_each_key_has_its_own(addresses: Addresses) -> None:
    assert addresses.get("y", 1_200, KEY, NOON) is None
    assert addresses.get("x", 300, KEY, NOON) is None
    assert addresses.get("x", 1_200, "another key", NOON) is None


def test_the_address_signed_longest_ago_gives_way(addresses: Addresses) -> None:
    addresses.keep("y", 60, KEY, NOON, "address of y")
    addresses.keep("x", 1_200, KEY, NOON, "another of x")
    addresses.keep("z", 60, KEY, NOON, "address of z")

    assert addresses.get("x", 1_200, KEY, NOON) == "another of x"
    assert addresses.get("y", 60, KEY, NOON) is None


def test_what_has_no_time_to_live_is_not_young(addresses: Addresses) -> None:
    addresses.keep("x", -5, KEY, NOON, "of the past")
    assert addresses.get("x", -5, KEY, NOON) is None
