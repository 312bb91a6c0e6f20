"""What requests cost: processor time of the host for each, beside `GET /v2/` in the same round."""

import statistics
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks.sites import Cost, Site, site

FLOOR = "GET /v2/"

type Costs = dict[tuple[str, str], list[Cost]]


def run(trees: Sequence[Path], front: Path | None, rounds: int, count: int) -> None:
    """Measure each tree, by itself and behind the front if there is one, and print a table."""
    ways = [None, front] if front else [None]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sites = [
            stack.enter_context(site(_name(tree, number, way), tree, folder, way))
            for number, tree in enumerate(trees)
            for way in ways
        ]
        costs: Costs = defaultdict(list)
        for _ in range(rounds):
            _round(sites, count, costs)
    _print(sites, costs)


def _name(tree: Path, number: int, front: Path | None) -> str:
    return f"{number}-{tree.name}{' behind the front' if front else ''}"


def _round(sites: Sequence[Site], count: int, costs: Costs) -> None:
    for workload in sites[0].workloads:
        for each in sites:
            costs[each.name, workload].append(each.measure(workload, count))


def _print(sites: Sequence[Site], costs: Costs) -> None:
    print("| host | request | worker, ms | to GET /v2/ (least to most) | front, ms |")
    print("|---|---|---|---|---|")
    for each in sites:
        floors = costs[each.name, FLOOR]
        for workload in each.workloads:
            found = costs[each.name, workload]
            worker = statistics.median(cost.worker for cost in found)
            front = statistics.median(cost.front for cost in found)
            ratios = [a.worker / b.worker for a, b in zip(found, floors, strict=True)]
            spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
            print(
                f"| {each.name} | {workload} | {worker:.2f}"
                f" | {statistics.median(ratios):.2f} ({spread}) | {front:.2f} |"
            )
