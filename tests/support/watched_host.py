"""python -m tests.support.watched_host: the dev host, with a heartbeat on its event loop.

Appends a line to the file in WATCH_FILE for each beat: when it came (seconds since 1970), and how
many seconds late.
"""

import argparse
import asyncio
import os
import time
from pathlib import Path

from infra.devhost.command import command, serve

INTERVAL = 0.005
ROOT = Path(__file__).parents[2]


async def beat(file: Path) -> None:
    """Write down how late the loop is, time after time."""
    loop = asyncio.get_running_loop()
    with file.open("w", buffering=1) as lines:
        while True:
            started = loop.time()
            await asyncio.sleep(INTERVAL)
            lines.write(f"{time.time()} {loop.time() - started - INTERVAL}\n")


async def watched(port: int) -> None:
    """Run the host and the heartbeat until the task is cancelled."""
    heart = asyncio.create_task(beat(Path(os.environ["WATCH_FILE"])))  # noqa: TID251 - a host
    try:
        await serve(ROOT, port)
    finally:
        heart.cancel()


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int)
    with command("watched_host"):
        asyncio.run(watched(parser.parse_args().port))


if __name__ == "__main__":
    main()
