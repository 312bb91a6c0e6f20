"""Where an object comes from: what its metadata says, for those who find it without its rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from urllib.parse import quote, unquote

from shared.errors import DigestInvalid
from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.storage.ports import Facts

BLOB, MANIFEST, CANCELLED = "blob", "manifest", "cancelled"


@dataclass(frozen=True, slots=True)
class Origin:
    """What an object is: a BLOB, a MANIFEST's body, or the mark of an upload CANCELLED.

    `by` is the call that made it, an id that never repeats. All this is what a rebuild of the rows
    has to go by.
    """

    kind: str
    made: datetime
    by: str
    repository: RepositoryName
    digest: Digest | None = None
    media_type: str = ""

    def metadata(self) -> Mapping[str, str]:
        """Give it as an object's metadata: names and values in ASCII, none of them empty."""
        said = {
            "kind": self.kind,
            "made": self.made.isoformat(),
            "by": self.by,
            "repository": self.repository,
            "digest": str(self.digest or ""),
            "media_type": quote(self.media_type, safe="/+.;= "),
        }
        return {name: value for name, value in said.items() if value}

    @classmethod
    def find(cls, facts: Facts) -> Self | None:
        """Read an object's metadata; None where they are not ours: another has overwritten it."""
        try:
            return cls.read(facts)
        except (LookupError, ValueError, DigestInvalid):
            return None

    @classmethod
    def read(cls, facts: Facts) -> Self:
        """Read an object's metadata; raises LookupError, ValueError, DigestInvalid."""
        said = facts.metadata
        made = datetime.fromisoformat(said["made"])
        if made.tzinfo is None:
            raise ValueError(f"a time without its zone: {made}")
        return cls(
            kind=said["kind"],
            made=made,
            by=said["by"],
            repository=RepositoryName(said["repository"]),
            digest=Digest.parse(said["digest"]) if "digest" in said else None,
            media_type=unquote(said.get("media_type", "")),
        )
