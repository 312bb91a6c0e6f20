"""python -m infra.devhost: run the app in the current folder."""

import argparse
import asyncio
from pathlib import Path

from infra.devhost.command import command, serve


def main() -> None:
    """Read the command line and run the host."""
    parser = argparse.ArgumentParser(prog="python -m infra.devhost", description=__doc__)
    parser.add_argument("--app", type=Path, default=Path(), help="the app's folder (default: .)")
    parser.add_argument("--port", type=int, help="default 7071; 0 takes a free one")
    parser.add_argument("--functions", nargs="+", default=(), help="run only these")
    parser.add_argument("--front", type=Path, help="Microsoft's HTTP path as a program, before it")
    options = parser.parse_args()
    with command("devhost"):
        asyncio.run(
            serve(options.app.resolve(), options.port, options.functions, front=options.front)
        )


if __name__ == "__main__":
    main()
