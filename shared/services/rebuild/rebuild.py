"""Rebuild: the rows of one registry are made again, as far as its objects tell.

    the survey   every object: blobs come back, and where links are lost they are shown again in
                 the repository that they were uploaded to
    manifests    those of which no row speaks live again, and show the blobs that they use
    following    rows that were never lost, as far as they imply others that were

Nothing that is there is replaced. So a table that is half lost is completed, a rebuild that died is
begun anew, and the registry takes pushes meanwhile. All clocks start now; nobody is told of pushes
that were long ago. Tags are in rows alone, and do not come back; nor does the knowledge of what was
deleted: what may have been is listed.
"""

from shared.services.content.pushes import Pushes
from shared.services.rebuild.blobs import BlobsBack
from shared.services.rebuild.following import Following
from shared.services.rebuild.losses import Losses
from shared.services.rebuild.manifests import ManifestsBack
from shared.services.rebuild.report import Report, Tell
from shared.services.rebuild.survey import Began, Survey
from shared.storage.rows.registries import READ_LOCKS
from shared.storage.stores import Stores


class Rebuild:
    """Rebuilds the rows of one registry's generation."""

    def __init__(self, stores: Stores, name: str, *, is_sparse_allowed: bool) -> None:
        report = Report(name, stores.generation, had_read_locks=READ_LOCKS in stores.flags)
        began = Began(stores)
        pushes = Pushes(stores, is_sparse_allowed=is_sparse_allowed)
        blobs = BlobsBack(stores, report, Losses(stores))
        self._report = report
        self._survey = Survey(stores, blobs, report, began)
        self._manifests = ManifestsBack(
            stores, pushes, blobs, report, is_sparse_allowed=is_sparse_allowed
        )
        self._following = Following(stores, blobs, self._manifests, report)

    async def run(self, tell: Tell) -> Report:
        """Do it, once; may be repeated by another."""
        lives = await self._survey.run(tell)
        await self._manifests.run(lives, tell)
        await self._following.run(tell)
        return self._report
