"""Blobs that nothing uses, collected behind the queue `garbage`."""

from datetime import timedelta

from shared import bootstrap
from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.storage.collecting import Collecting
from shared.storage.layers.later import LateMessages
from tests.support.app import GENERATION, Site
from tests.support.images import blob

GRACE = timedelta(days=1)


async def test_a_blob_that_nothing_uses_is_collected(site: Site) -> None:
    unused = blob(b"unused")
    await site.push_blob("team/app", unused)
    site.clock.now += GRACE * 3 / 2 + timedelta(seconds=1)
    collecting = Collecting(
        LateMessages(site.memory.messages, site.clock, bootstrap.new_id), GENERATION
    )
    await collecting.ask(RepositoryName("team/app"), [Digest.parse(unused.digest)])
    await site.deliver()
    answer = await site.call("HEAD", f"/v2/team/app/blobs/{unused.digest}")
    assert answer.status_code == 404
    assert site.memory.kept() == {}
