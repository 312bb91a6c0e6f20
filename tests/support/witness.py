"""A witness among the consumers of events: it writes down what each has been told, once it is done.

The host's side wraps the errands of upkeep; the other reads the file, whoever wrote it and died.
"""

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from shared.services.upkeep.errands import Upkeep
from shared.storage.messages.errands import Errand


@dataclass(frozen=True, slots=True)
class Heard:
    """An event as a consumer was told of it; one that comes again is the same."""

    consumer: str
    event: str
    repository: str
    digest: str
    tag: str
    at: str

    @classmethod
    def of(cls, errand: Errand) -> Self | None:
        """Give the event that an errand bears; None where it bears none."""
        said = errand.fields.get("event")
        if not isinstance(said, dict):
            return None
        digest, tag = str(said.get("digest", "")), str(said.get("tag", ""))
        at, event = str(said["at"]), str(said["event"])
        return cls(errand.kind.name, event, errand.repository, digest, tag, at)


def watch(file: Path) -> None:
    """Write down each event that upkeep has seen to, in this process."""
    run = Upkeep.run

    async def watched(self: Upkeep, errand: Errand) -> None:
        await run(self, errand)
        note(file, errand)

    Upkeep.run = watched  # type: ignore[method-assign]


def note(file: Path, errand: Errand) -> None:
    """Write down the event that an errand bears, if any."""
    if heard := Heard.of(errand):
        with file.open("a") as lines:  # a short line is written at once, or not at all
            lines.write(json.dumps(asdict(heard)) + "\n")


def heard(file: Path) -> Counter[tuple[str, str, str, str]]:
    """Count the events that were heard: by consumer, repository, digest and tag."""
    lines = file.read_text().splitlines() if file.exists() else []
    events = {Heard(**json.loads(line)) for line in lines}
    return Counter((it.consumer, it.repository, it.digest, it.tag) for it in events)
