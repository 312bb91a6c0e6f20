"""Signed addresses: anyone may read the one object, for a while, and do nothing else."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import ClientSession
from yarl import URL

from shared.storage.azure.account.account import AzureAccount
from shared.storage.azure.blobs import AzureObjects

pytestmark = pytest.mark.emulator


@pytest.fixture
async def objects(account: AzureAccount, name: str) -> AzureObjects:
    """Two objects in a container: x and y."""
    objects = AzureObjects(account, container=name)
    await objects.prepare()
    await objects.put("x", b"0123456789", {})
    await objects.put("y", b"other", {})
    return objects


@pytest.fixture
async def anyone() -> AsyncIterator[ClientSession]:
    """A client without credentials."""
    async with ClientSession() as session:
        yield session


async def test_anyone_reads_the_object(objects: AzureObjects, anyone: ClientSession) -> None:
    async with anyone.get(await objects.url("x", 60)) as answer:
        assert answer.status == 200
        assert answer.content_type == "application/octet-stream"
        assert await answer.read() == b"0123456789"


async def test_anyone_reads_a_range(objects: AzureObjects, anyone: ClientSession) -> None:
    headers = {"Range": "bytes=3-6"}
    async with anyone.get(await objects.url("x", 60), headers=headers) as answer:
        assert answer.status == 206
        assert await answer.read() == b"3456"


async def test_anyone_reads_what_was_staged(objects: AzureObjects, anyone: ClientSession) -> None:
    await objects.stage("staged", "a", b"piece")
    await objects.commit("staged", ["a"], {})

    async with anyone.get(await objects.url("staged", 60)) as answer:
        assert answer.content_type == "application/octet-stream"
        assert await answer.read() == b"piece"


@pytest.mark.parametrize("altered", ["path", "se", "sp", "spr", "sig"])
async def test_an_altered_address_is_refused(
    objects: AzureObjects, anyone: ClientSession, altered: str
) -> None:
    address = URL(await objects.url("x", 60))
    other = {
        "path": address.with_name("y", keep_query=True),
        "se": address.update_query(se="2099-01-01T00:00:00Z"),
        "sp": address.update_query(sp="rw"),
        "spr": address.update_query(spr="http"),
        "sig": address.update_query(sig="A" + address.query["sig"][1:][::-1]),
    }

    async with anyone.get(other[altered]) as answer:
        assert answer.status == 403


async def test_an_address_is_for_reading(objects: AzureObjects, anyone: ClientSession) -> None:
    address = await objects.url("x", 60)

    async with anyone.put(address, data=b"", headers={"x-ms-blob-type": "BlockBlob"}) as answer:
        assert answer.status == 403
    async with anyone.delete(address) as answer:
        assert answer.status == 403


async def test_an_address_is_given_again_until_a_quarter_of_its_time_is_over(
    account: AzureAccount, name: str
) -> None:
    now = datetime.now(UTC)
    objects = AzureObjects(account, container=name, now=lambda: now)
    first = await objects.url("x", 60)
    assert await objects.url("y", 60) != first
    assert await objects.url("x", 61) != first

    now += timedelta(seconds=15)
    assert await objects.url("x", 60) == first

    now += timedelta(seconds=1)
    assert URL(await objects.url("x", 60)).query["se"] > URL(first).query["se"]


async def test_an_address_ends_with_its_time(objects: AzureObjects, anyone: ClientSession) -> None:
    async with anyone.get(await objects.url("x", -5)) as answer:
        assert answer.status == 403


async def test_an_address_of_a_real_account_is_https_alone() -> None:
    account = AzureAccount("AccountName=abc;AccountKey=a2V5;EndpointSuffix=core.windows.net")

    address = URL(await AzureObjects(account).url("x", 60))

    assert str(address.with_query(None)) == "https://abc.blob.core.windows.net/content/x"
    assert (address.query["spr"], address.query["sp"], address.query["sr"]) == ("https", "r", "b")
    await account.close()
