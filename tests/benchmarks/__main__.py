"""python -m tests.benchmarks requests|imports|firsts|webhooks: measure this tree, or several."""

import argparse
from pathlib import Path

from tests.benchmarks import requests, starts, webhooks
from tests.support.hosts import ROOT


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("what", choices=("requests", "imports", "firsts", "webhooks"))
    parser.add_argument("--beside", type=Path, nargs="+", default=(), help="other trees")
    parser.add_argument("--front", type=Path, help="measure behind this front, too")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--count", type=int, default=500, help="requests of a kind in a round")
    parser.add_argument("--minutes", type=float, default=3, help="of pushes that webhooks tell of")
    options = parser.parse_args()
    trees = [*(tree.resolve() for tree in options.beside), ROOT]
    if options.what == "requests":
        requests.run(trees, options.front, options.rounds, options.count)
    elif options.what == "imports":
        starts.run_imports(trees, options.rounds)
    elif options.what == "webhooks":
        webhooks.run(options.minutes)
    else:
        starts.run_firsts(trees, options.rounds)


if __name__ == "__main__":
    main()
