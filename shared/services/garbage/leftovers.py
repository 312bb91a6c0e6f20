"""Leftovers: objects that no row names, because what was to name them died, or gave up.

An object is asked about no sooner than 15 minutes after it was made: by then the call that made it
has put it into service, or never will, and no other call may. So what is unused then stays so, and
is removed by its name and ETag. Bytes that were found bad are left to `healing`.

What another than the registry has written, who knows what, is told in the log and left alone.

The mark of a cancelled upload is kept for as long as a token of that upload could come back.
"""

import logging
from dataclasses import dataclass, field
from datetime import timedelta

from shared.errors import RegistryError
from shared.storage import halt, keys
from shared.storage.origins import BLOB, CANCELLED, Origin
from shared.storage.ports import Facts
from shared.storage.rows.rounds.walks import going_on
from shared.storage.stores import Stores

_log = logging.getLogger(__name__)

_SETTLED = timedelta(minutes=15)
_PAGE = 100


@dataclass(frozen=True, slots=True)
class Looked:
    """Whether an object was removed, or would have been; `again` is when it is worth a look.

    `facts` are the object's, where it is still there.
    """

    is_removed: bool = False
    again: timedelta | None = None
    facts: Facts | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Swept:
    """The objects that a page of the sweep removed, and the position of the next page, if any."""

    removed: tuple[str, ...]
    position: str


class Leftovers:
    """Removes objects that nothing uses. With `is_dry` it only says which.

    `lifetime` is how long an upload may take.
    """

    def __init__(self, stores: Stores, lifetime: timedelta, *, is_dry: bool = False) -> None:
        self._stores = stores
        self._generation = stores.generation
        self._contents = stores.contents
        self._holdings = stores.holdings
        self._objects = stores.objects
        self._lifetime = lifetime
        self._is_dry = is_dry

    async def look_at(self, name: str) -> Looked:
        """Remove an object if it is unused, and old enough to stay so."""
        if not name.startswith(keys.object_name(self._generation, "")):
            raise ValueError(f"object {name} is of another registry")
        facts = await self._objects.facts(name)
        if facts is None:
            return Looked()
        about = Origin.find(facts)
        if about is None:
            _log.error("object %s does not say what it is: another has written it", name)
            return Looked(facts=facts)
        settled = self._lifetime if about.kind == CANCELLED else _SETTLED
        if facts.age < settled:
            return Looked(again=settled - facts.age, facts=facts)
        if await self._is_used(name, about):
            return Looked(facts=facts)
        if not self._is_dry and await self._stores.removal_is_halted():
            return Looked(again=halt.AGAIN, facts=facts)
        await self._remove(name, facts)
        return Looked(is_removed=True)

    async def sweep(self, position: str = "") -> Swept:
        """Look at a page of all objects; nothing else finds what no message was sent of.

        Raises PositionRefused.
        """
        prefix = keys.object_name(self._generation, "")
        with going_on(position):
            names, after = await self._objects.page(prefix, position, _PAGE)
        removed = [name for name in names if await self._goes(name)]
        return Swept(tuple(removed), after)

    async def _goes(self, name: str) -> bool:
        """Look at an object of a page; one that cannot be understood holds up no other."""
        try:
            return (await self.look_at(name)).is_removed
        except (RegistryError, LookupError, ValueError) as error:
            _log.error("object %s is passed over, as it does not say what it is: %r", name, error)
            return False

    async def _is_used(self, name: str, about: Origin) -> bool:
        if about.digest is None:
            return False
        if about.kind == BLOB:
            return await self._holdings.names(about.digest, name)
        life = keys.drawn(name)
        return await self._contents.has_life(about.repository, about.digest, life)

    async def _remove(self, name: str, facts: Facts) -> None:
        if not self._is_dry:
            await self._objects.delete(name, facts.etag)
