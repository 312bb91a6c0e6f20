"""The planes, by the worker's own indexing: each has its functions, and no other's."""

import subprocess
import sys

from tests.support.hosts import ROOT
from tests.support.tools import environment

INDEX = """
import asyncio
from pathlib import Path
from infra.devhost.worker import Worker
for function in asyncio.run(Worker().start(Path())):
    print(function.kind, function.name)
"""


def index(plane: str) -> subprocess.CompletedProcess[str]:
    """Index the app in a process of its own: a worker's state is global."""
    settings = {"AzureWebJobsStorage": "memory", "REGISTRY_MASTER_KEY": "k" * 32}
    return subprocess.run(
        [sys.executable, "-c", INDEX],
        cwd=ROOT,
        env=environment(**settings, REGISTRY_PLANE=plane),
        capture_output=True,
        text=True,
        check=False,
    )


def functions(plane: str) -> set[tuple[str, str]]:
    """Give the kind and the name of each function of a plane."""
    indexed = index(plane)
    assert indexed.returncode == 0, indexed.stderr
    return {(line.split()[0], line.split()[1]) for line in indexed.stdout.splitlines()}


def test_each_function_is_in_one_of_the_two_planes() -> None:
    http, events = functions("http"), functions("events")
    assert http | events == functions("all") == functions("")
    assert {kind for kind, _ in http} == {"httpTrigger"}
    assert {kind for kind, _ in events} == {"blobTrigger", "queueTrigger", "timerTrigger"}


def test_a_plane_that_is_none_ends_the_start() -> None:
    refused = index("http,events")
    assert refused.returncode != 0
    assert "REGISTRY_PLANE='http,events' must be one of all, http, events" in refused.stderr
