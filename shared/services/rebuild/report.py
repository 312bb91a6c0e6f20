"""What a rebuild found, did, and could not do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.model.digest import Digest
from shared.model.names import RepositoryName

type Place = tuple[RepositoryName, Digest]
"""A manifest, or a blob: its repository and its digest."""


class Step(StrEnum):
    """What is done, one after the other."""

    WAITING = "nothing is to be removed meanwhile; seconds to wait until that holds:"
    OBJECTS = "objects"
    MANIFESTS = "manifests"
    ROWS = "rows"


type Tell = Callable[[Step, int], None]
"""Is told of each step how many are done, or how many seconds are to be waited."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that did not come back: an object or a digest, where, and why not."""

    what: str
    where: str
    why: str


@dataclass(slots=True)
class Revived:
    """A manifest that came back, of which no row spoke: it may have been deleted before.

    `made` is when it was pushed, `lives` how often, as far as objects are left of it; `used_by` is
    an index that names it, `subject` what it refers to. It `lacks` so much of its content; some of
    that is `missing` by name.
    """

    repository: RepositoryName
    digest: str
    media_type: str
    size: int
    made: datetime
    lives: int
    subject: str = ""
    used_by: str = ""
    lacks: int = 0
    missing: tuple[str, ...] = ()

    @property
    def why(self) -> str:
        """Say what speaks for it, or against it."""
        said = [f"used by {self.used_by}"] if self.used_by else []
        said += [f"refers to {self.subject}"] if self.subject else []
        said += [f"pushed {self.lives} times, so deleted before"] if self.lives > 1 else []
        said += [f"lacks {self.lacks} of its contents"] if self.lacks else []
        return ", ".join(said) or "nothing refers to it"


@dataclass(slots=True)
class Report:
    """What came back of one registry. Tags, and who deleted what, are nowhere but in rows.

    `known` are manifests of which rows speak, `completed` those of them that lacked rows, `shown`
    blobs that are shown again because they were uploaded there: some may have been deleted. It
    `is_unfinished` where something may yet come back, if it is tried again; it `had_read_locks`
    where something could not be read, of which nothing but lost rows said what.
    """

    registry: str
    generation: str
    objects: int = 0
    blobs: int = 0
    shown: int = 0
    known: int = 0
    completed: int = 0
    revived: dict[Place, Revived] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    is_unfinished: bool = False
    had_read_locks: bool = False

    def fault(self, what: object, where: str, why: str, *, is_final: bool = True) -> None:
        """List something that did not come back."""
        self.faults.append(Fault(str(what), where, why))
        self.is_unfinished = self.is_unfinished or not is_final

    def counts(self) -> Mapping[str, int]:
        """Sum it up."""
        return {
            "objects": self.objects,
            "blobs": self.blobs,
            "blobs shown again": self.shown,
            "manifests brought back": len(self.revived),
            "manifests known": self.known,
            "manifests completed": self.completed,
            "faults": len(self.faults),
        }
