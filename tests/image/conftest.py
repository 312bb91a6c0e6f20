"""An image, made once, and an engine that runs it."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

# An engine, and what it stores its state in, are the same as for clients.
from tests.protocol.conftest import started, storage  # noqa: F401 - fixtures
from tests.support.engine import DockerEngine
from tests.support.tools import require, unavailable

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what `make image` makes."""
    if os.getuid() != 0:
        unavailable("only root can make the image")
    require("mmdebstrap", "buildah", "skopeo")
    folder = tmp_path_factory.mktemp("made")
    done = subprocess.run(
        ["infra/image/make.sh", folder], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerEngine]:
    require("dockerd", "docker", "containerd", "runc")
    yield from started(DockerEngine())
