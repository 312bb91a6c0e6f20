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
    with scratch(name) as folder:
        azurite = Azurite(folder)
        try:
            azurite.start()
        except StorageError as error:
            unavailable(str(error))
        try:
            yield azurite
        finally:
            azurite.stop()
