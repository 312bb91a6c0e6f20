"""What starts cost: `import function_app`, and the first request of a new process."""

import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks.processes import cpu_seconds
from tests.benchmarks.sites import Site, send, site
from tests.support.hosts import ROOT
from tests.support.tools import environment

_IMPORT = """
import json, resource, sys, time
from tests.benchmarks.processes import resident_mib
sys.path.insert(0, sys.argv[1])
before, began, used = resident_mib(), time.perf_counter(), resource.getrusage(0)
import function_app
took, now = time.perf_counter() - began, resource.getrusage(0)
cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
print(json.dumps([cpu * 1000, took * 1000, resident_mib() - before]))
"""

type Samples = Mapping[str, Sequence[Sequence[float]]]


def run_imports(trees: Sequence[Path], rounds: int) -> None:
    """Import each tree's app in turn, once more at first for the compiled files."""
    samples = defaultdict(list)
    for number in range(rounds + 1):
        for tree in trees:
            found = _import(tree)
            if number:
                samples[str(tree)].append(found)
    _print("import function_app", ("CPU, ms", "time, ms", "memory, MiB"), samples)


def _import(tree: Path) -> Sequence[float]:
    command = [sys.executable, "-c", _IMPORT, str(tree)]
    settings = environment(
        AzureWebJobsStorage="UseDevelopmentStorage=true", REGISTRY_MASTER_KEY="k" * 32
    )
    ended = subprocess.run(
        command, cwd=ROOT, env=settings, capture_output=True, check=True, text=True
    )
    found: Sequence[float] = json.loads(ended.stdout.splitlines()[-1])
    return found


def run_firsts(trees: Sequence[Path], rounds: int) -> None:
    """Start each tree's host anew and send it its first request, a pull by tag or a redirect."""
    samples = defaultdict(list)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sites = [
            stack.enter_context(site(f"{number}-{tree.name}", tree, folder))
            for number, tree in enumerate(trees)
        ]
        for _ in range(rounds):
            for each in sites:
                for workload in ("manifest by tag", "blob redirect"):
                    samples[f"{each.name}: {workload}"].append(_first(each, workload))
    _print("the first request of a process", ("CPU, ms", "time, ms"), samples)


def _first(each: Site, workload: str) -> Sequence[float]:
    each.host.stop()
    each.host.start(ready=each.host.listens)
    connection = http.client.HTTPConnection("127.0.0.1", each.host.port)
    before, began = cpu_seconds(each.host.pid), time.perf_counter()
    send(connection, each.workloads[workload][0], each.host.login_server)
    took, after = time.perf_counter() - began, cpu_seconds(each.host.pid)
    connection.close()
    return (after - before) * 1_000, took * 1_000


def _print(what: str, columns: Sequence[str], samples: Samples) -> None:
    print(f"| {what} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|", sep="\n")
    for name, found in samples.items():
        cells = (
            f"{statistics.median(numbers):.0f} ({min(numbers):.0f} to {max(numbers):.0f})"
            for numbers in zip(*found, strict=True)
        )
        print(f"| {name} | {' | '.join(cells)} |")
