"""python -m tests.support.recording: records the state that the app of today writes.

A recording is all rows and objects of a small registry, as JSON. One is kept for each version of
the layout that an app still reads (`tests/functions/recorded`), and a test serves each. Until a
version is released its recording may be made anew; after that it stays as it is.
"""

import asyncio
import base64
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from shared.storage.memory.objects import MemoryObjects
from shared.storage.ports import Put, Value
from shared.storage.rows.registries import LAYOUT
from tests.support import images
from tests.support.app import Memory, indexed, open_site, patched, registry_rows
from tests.support.clock import Clock

FOLDER = Path(__file__).parents[1] / "functions" / "recorded"
REPOSITORY, TAG = "team/app", "v1"


def image() -> images.Image:
    """Give the image that every recording holds."""
    return images.image(seed=11, layers=2)


def referrer() -> images.Image:
    """Give what refers to the image, in every recording."""
    return images.artifact("application/vnd.test.note", b"a note", image().manifest)


def dump(memory: Memory) -> dict[str, Any]:
    """Give all that the stores hold, but for messages."""
    rows = {
        table: {
            partition: {
                key: {name: _written(value) for name, value in row.values.items()}
                for key, row in sorted(group.items())
            }
            for partition, group in sorted(groups.items())
            if group
        }
        for table, groups in sorted(memory.rows._tables.items())
    }
    return {"rows": rows, "objects": _dump(memory.objects), "beside": _dump(memory.beside)}


def _dump(objects: MemoryObjects) -> dict[str, Any]:
    assert objects._container
    return {
        name: {"data": _written(it.data), "metadata": dict(it.metadata)}
        for name, it in sorted(objects._container.objects.items())
    }


async def load(memory: Memory, recorded: dict[str, Any]) -> None:
    """Put a recording into empty stores."""
    await memory.prepare()
    for table, groups in recorded["rows"].items():
        await memory.rows.prepare([table])
        for partition, group in groups.items():
            for key, values in group.items():
                read = {name: _read(value) for name, value in values.items()}
                await memory.rows.commit(table, partition, [Put(key, read)])
    for port, objects in ((memory.objects, "objects"), (memory.beside, "beside")):
        for name, it in recorded[objects].items():
            await port.put(name, _read(it["data"]), it["metadata"])


def _written(value: Value) -> object:
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, datetime):
        return {"time": value.isoformat()}
    return value


def _read(value: Any) -> Any:
    if isinstance(value, dict) and "bytes" in value:
        return base64.b64decode(value["bytes"])
    if isinstance(value, dict):
        return datetime.fromisoformat(value["time"])
    return value


async def _record() -> dict[str, Any]:
    memory, clock = Memory(), Clock()
    with patched(memory, clock, {}):
        async with open_site(memory, clock) as site:
            await site.push(REPOSITORY, image(), TAG)
            await site.push(REPOSITORY, referrer())
            await site.deliver()
            return dump(memory)


def main() -> None:
    """Write the recording of this version of the layout."""
    indexed()
    registry_rows()
    text = json.dumps(asyncio.run(_record()), indent=1, sort_keys=True) + "\n"
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"layout-{LAYOUT}.json").write_text(text)


if __name__ == "__main__":
    main()
