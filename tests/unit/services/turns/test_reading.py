import asyncio
import threading

import pytest

from shared.errors import ManifestInvalid
from shared.model.manifests.manifest import Manifest, read_manifest
from shared.services.turns import reading
from tests.unit.services.conftest import image_of, parts

SMALL = image_of(parts(2))
LARGE = image_of(parts(2), annotations={"long": "x" * 100_000})


@pytest.fixture
def readers(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """The threads that read a manifest, one for each."""
    seen: list[threading.Thread] = []

    def read(*arguments: str) -> Manifest:
        seen.append(threading.current_thread())
        return read_manifest(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(reading, "read_manifest", read)
    return seen


async def test_a_small_manifest_is_read_in_place(readers: list[threading.Thread]) -> None:
    assert await reading.understood(SMALL.body, "", "sha256") == SMALL
    assert readers == [threading.main_thread()]


async def test_large_manifests_are_read_aside_one_after_the_other(
    readers: list[threading.Thread],
) -> None:
    many = [reading.understood(LARGE.body, "", "sha256") for _ in range(5)]
    assert await asyncio.gather(*many) == [LARGE] * 5
    assert len(set(readers)) == 1
    assert threading.main_thread() not in readers


@pytest.mark.parametrize("size", [1, 100_000])
async def test_what_is_no_manifest_is_refused_wherever_it_is_read(size: int) -> None:
    with pytest.raises(ManifestInvalid):
        await reading.understood(b"[" * size, "", "sha256")
