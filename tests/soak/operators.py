"""An operator beside the clients: brings back what was deleted, as the operators' command does."""

from enum import Enum

from shared.errors import ManifestUnknown, RegistryError, Unavailable
from shared.events import Cause
from shared.model.digest import Digest
from shared.model.names import parse_repository
from shared.services.deletions.restores import Restores
from shared.storage.ports import StorageError
from tests.soak.asking import BrokenPromise
from tests.soak.model import Known

_BY = Cause("operator")
_LIVES = 50


class Undeleted(Enum):
    """What became of it; AMBIGUOUS: it is back, but of several lives, one may not know which."""

    BACK = "back"
    AMBIGUOUS = "ambiguous"
    NOT_KEPT = "not kept"
    NO_ANSWER = "no answer"


class Operator:
    """Brings manifests back; with clocks that jump nobody knows which life was the last."""

    def __init__(self, restores: Restores, *, has_steady_clock: bool) -> None:
        self._restores = restores
        self._has_steady_clock = has_steady_clock

    async def undelete(self, known: Known) -> Undeleted:
        """Bring the last life of a manifest back, with its tags."""
        try:
            return await self._undelete(known)
        except ManifestUnknown:
            return Undeleted.NOT_KEPT
        except (StorageError, Unavailable):
            return Undeleted.NO_ANSWER
        except RegistryError as error:
            raise BrokenPromise(f"{known.place} does not come back: {error!r}") from error

    async def _undelete(self, known: Known) -> Undeleted:
        repository, digest = parse_repository(known.repository), Digest.parse(known.digest)
        page = await self._restores.page(repository, f"{digest}|", _LIVES)
        lives = [one for one in page.items if one.manifest.digest == digest]
        if not lives:
            return Undeleted.NOT_KEPT
        last = max(lives, key=lambda one: one.at)
        await self._restores.manifest(repository, digest, last.manifest.life, by=_BY)
        is_exact = self._has_steady_clock and len(lives) == 1
        return Undeleted.BACK if is_exact else Undeleted.AMBIGUOUS
