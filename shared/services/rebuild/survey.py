"""The survey: every object is looked at. Blobs come back at once, manifests are noted.

What an object is, its metadata says (`storage.origins`). One under a name that the registry would
not draw is another's, and is listed, whatever it says. What was made since the rebuild began is
left to the call that made it, which writes its rows itself.

A note of a manifest takes some 640 bytes until that is back, and what is reported of it some 410
until the end: a million manifests, one GB at the most.
"""

from datetime import datetime, timedelta

from shared.errors import RegistryError
from shared.model.names import parse_repository
from shared.services.rebuild.blobs import BlobsBack
from shared.services.rebuild.each import each
from shared.services.rebuild.report import Place, Report, Step, Tell
from shared.storage import keys
from shared.storage.messages.verifying import ToVerify
from shared.storage.origins import BLOB, CANCELLED, MANIFEST, Origin
from shared.storage.ports import Facts, Unavailable
from shared.storage.stores import Stores

_PAGE = 1_000
_KINDS = (BLOB, MANIFEST, CANCELLED)

type Lives = dict[Place, list[tuple[datetime, str]]]
"""The lives of each manifest of which there is an object, and when each began."""


class Began:
    """The moment when a rebuild began, by the ages that storage tells."""

    _TICK = timedelta(seconds=1)  # ages are up to that much too young

    def __init__(self, stores: Stores) -> None:
        self._ticks = stores.ticks
        self._at = stores.ticks()

    def is_before(self, age: timedelta) -> bool:
        """Tell of what has this age now whether it is younger than the rebuild."""
        return age + self._TICK < timedelta(seconds=self._ticks() - self._at)


class Survey:
    """Goes through all objects of a registry."""

    def __init__(self, stores: Stores, blobs: BlobsBack, report: Report, began: Began) -> None:
        self._stores = stores
        self._objects = stores.objects
        self._blobs = blobs
        self._report = report
        self._began = began
        self._lives: Lives = {}

    async def run(self, tell: Tell) -> Lives:
        """Bring the blobs back, and give the lives of manifests."""
        prefix, position = keys.object_name(self._stores.generation, ""), ""
        while True:
            names, position = await self._objects.page(prefix, position, _PAGE)

            async def look(name: str) -> None:
                await self._look_at(name)
                self._report.objects += 1
                tell(Step.OBJECTS, self._report.objects)

            await each(names, look)
            if not position:
                return self._lives

    async def _look_at(self, name: str) -> None:
        facts = await self._objects.facts(name)
        if facts is None or self._began.is_before(facts.age):
            return
        try:
            ToVerify.named(name)  # keys could not tell any other name
            about = _read(facts)
        except (LookupError, ValueError, RegistryError) as error:
            self._report.fault(name, "", f"it does not say what it is: {error!r}")
            return
        if about.kind == MANIFEST and about.digest:
            lives = self._lives.setdefault((about.repository, about.digest), [])
            lives.append((about.made, keys.drawn(name)))
        elif about.kind == BLOB and about.digest:
            try:
                await self._blobs.bring(about.repository, about.digest, name, facts)
            except (RegistryError, Unavailable) as error:
                where = f"{about.repository}@{about.digest}"
                self._report.fault(name, where, str(error), is_final=False)


def _read(facts: Facts) -> Origin:
    about = Origin.read(facts)
    parse_repository(about.repository)
    if about.kind not in _KINDS:
        raise ValueError(f"kind {about.kind!r}")
    if about.kind != CANCELLED and about.digest is None:
        raise LookupError("digest")
    return about
