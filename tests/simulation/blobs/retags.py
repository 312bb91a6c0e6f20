"""Scenarios of retags: what a push of bytes that are there already must look at all the same."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from shared.errors import ManifestBlobUnknown, ManifestInvalid, RegistryError
from shared.model.manifests.manifest import Manifest, read_manifest
from shared.model.names import Tag, referrers_tag
from shared.storage import keys
from tests.simulation.explorer import Scenario
from tests.simulation.operations import Delete, Others, Push
from tests.simulation.scenarios import ABOUT, BLOBS, ONE, TWO, V1, A, Past, X, Y, image, index
from tests.simulation.world import World

FIRST_TYPE, OTHER_TYPE = "application/vnd.first+json", "application/vnd.other+json"


@dataclass(frozen=True)
class PushInVain(Push):
    """Push what has parts missing, where no exemption holds."""

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """It was acknowledged."""
        yield f"{self.digest} was acknowledged with parts missing"


@dataclass(frozen=True)
class PushWhole(Push):
    """Push an index whose children may be missing, where no exemption holds."""

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """Its children are there, and the manifest is not said to be incomplete."""
        yield from super().broken(world, others, since)
        rows = world.contents(self.repository)
        for child in self.manifest.children:
            if keys.manifest(child.digest) not in rows:
                yield f"{self.digest} was acknowledged without {child.digest}"
        if rows[keys.manifest(self.digest)].values["is_incomplete"]:
            yield f"{self.digest} was acknowledged as incomplete"


@dataclass(frozen=True)
class PushAs(Push):
    """Push bytes that do not say what they are."""

    refusals: ClassVar[tuple[type[RegistryError], ...]] = (ManifestBlobUnknown, ManifestInvalid)

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """They are what the push said, unless they were deleted."""
        yield from super().broken(world, others, since)
        if any(each.takes(self.repository, self.digest) for each in others):
            return
        row = world.contents(self.repository)[keys.manifest(self.digest)]
        if row.values["media_type"] != self.manifest.media_type:
            yield f"{self.digest} was acknowledged as {self.manifest.media_type}, and is not that"


def untyped(media_type: str) -> Manifest:
    """Give the same bytes as one type or another."""
    return read_manifest(json.dumps({"schemaVersion": 2}).encode(), media_type)


FIRST, OTHER = untyped(FIRST_TYPE), untyped(OTHER_TYPE)
NEVER = index(image(b"never"))
UNDER = referrers_tag(ONE.digest)
EXEMPT = Past().held(A, X, Y).did(Push(A, TWO, V1), Push(A, NEVER, UNDER))
EARLY = Past().held(A, X, Y).did(Push(A, TWO, V1), Push(A, index(ABOUT), UNDER))
TYPED = Past().did(PushAs(A, FIRST, V1))

RETAGS: Mapping[str, Scenario] = {
    "a list of what is missing, and the same bytes": BLOBS.meets(
        [Push(A, NEVER, UNDER)], [PushInVain(A, NEVER)]
    ),
    "a list of what is missing, and the same bytes from the same process": EXEMPT.meets(
        [Push(A, NEVER, UNDER), PushInVain(A, NEVER)], [Push(A, ONE)]
    ),
    "a list of what comes, and the same bytes": EARLY.meets(
        [PushWhole(A, index(ABOUT))], [Push(A, ABOUT, Tag("about"))]
    ),
    "the same bytes as two types": BLOBS.meets([PushAs(A, FIRST)], [PushAs(A, OTHER, V1)]),
    "bytes that are there, as another type": TYPED.meets(
        [PushAs(A, FIRST)], [Delete(A, FIRST.digest), PushAs(A, OTHER, V1)]
    ),
}
"""Two meet over bytes that one of them has pushed already."""
