"""The storage emulator, in a folder of a test's own."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.devhost.storage import Azurite, StorageError
from tests.support.tools import unavailable


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """Give a folder with a path as short as podman asks for, and remove it."""
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def emulator(name: str) -> Iterator[Azurite]:
    """Run it; where it cannot run, the test is skipped."""
    with scratch(name) as folder, _running(Azurite(folder)) as azurite:
        yield azurite


@contextmanager
def emulator_in_memory() -> Iterator[Azurite]:
    """Run it likewise, with all that it keeps in memory: it never stops to write it down."""
    with _running(Azurite()) as azurite:
        yield azurite


@contextmanager
def _running(azurite: Azurite) -> Iterator[Azurite]:
    try:
        azurite.start()
    except StorageError as error:
        unavailable(str(error))
    try:
        yield azurite
    finally:
        azurite.stop()
