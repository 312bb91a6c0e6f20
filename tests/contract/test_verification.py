"""Verification of what is large: in little memory, and in parts, on the emulator."""

import re
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest

from shared.model.digest import Digest
from shared.model.hashing import Hasher
from shared.services.verification import verification as module
from shared.storage import keys
from shared.storage.messages.letters import Letter
from shared.storage.messages.verifying import ToVerify
from shared.storage.origins import BLOB, Origin
from shared.storage.rows.holdings import Content
from shared.storage.stores import Stores
from tests.support.images import random_bytes
from tests.support.messages import LONG_AGO
from tests.unit.services.conftest import REPOSITORY, verification_of

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.parametrize("place", ["azure"], indirect=True),
]

MIB = 1024 * 1024
BLOCK = 32 * MIB
MEMORY = 64 * MIB


def memory(field: str) -> int:
    """Read how much memory this process holds, or held at most, in bytes."""
    status = Path("/proc/self/status").read_text()
    (kibibytes,) = re.findall(rf"{field}:\s+(\d+) kB", status)
    return int(kibibytes) * 1024


def reset_peak() -> None:
    """Let the peak start again from what is held now."""
    Path("/proc/self/clear_refs").write_text("5")


async def made(stores: Stores, size: int) -> tuple[str, Digest]:
    """Make an object of so many bytes that a repository holds as a blob."""
    block, hasher = bytearray(random_bytes(BLOCK, 1)), Hasher("sha256")
    name = keys.object_name(stores.generation, stores.new_id())
    blocks = [f"{place:08}" for place in range(size // BLOCK)]
    for block_id in blocks:
        await stores.objects.stage(name, block_id, block)
        hasher.update(block)
    digest = hasher.digest()
    about = Origin(BLOB, stores.clock(), stores.new_id(), REPOSITORY, digest)
    etag = await stores.objects.commit(name, blocks, about.metadata())
    await stores.holdings.offer(digest, REPOSITORY, Content(name, etag, size))
    return name, digest


async def is_verified(stores: Stores, digest: Digest) -> bool:
    row = await stores.holdings.content(digest)
    return row is not None and bool(row.values.get("verified"))


async def test_a_gigabyte_is_verified_within_64_mib(stores: Stores) -> None:
    name, digest = await made(stores, 1024 * MIB)
    reset_peak()
    before = memory("VmRSS")
    found = await verification_of(stores).verify(name)
    assert memory("VmHWM") - before < MEMORY
    assert found.is_sound
    assert await is_verified(stores, digest)


async def test_parts_go_on_in_other_messages(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, digest = await made(stores, 4 * BLOCK)
    monkeypatch.setattr(module, "LONGEST", timedelta(milliseconds=100))
    read, starts = stores.objects.read, list[int]()

    async def noted(name: str, start: int = 0) -> AsyncGenerator[bytes]:
        starts.append(start)
        async for piece in read(name, start):
            yield piece

    monkeypatch.setattr(stores.objects, "read", noted)
    asked = ToVerify.named(name)
    for _ in range(500):
        found = await verification_of(stores).go_on(asked)
        if found.is_sound is not None:
            break
        (received,) = await stores.verifying._messages.receive(keys.VERIFICATION, 1, 60)
        await stores.verifying._messages.delete(keys.VERIFICATION, received)
        asked = ToVerify.read(Letter.read(received.body, LONG_AGO).body.encode())
    assert found.is_sound
    assert await is_verified(stores, digest)
    assert starts == sorted(starts)
    assert starts[0] == 0
    assert starts[1] > 0
