"""What others have put beside our objects, copies of them above all, is listed; nothing stops."""

from dataclasses import replace

import pytest

from shared.model.digest import Digest
from shared.model.manifests.media_types import OCI_MANIFEST
from shared.storage import keys
from shared.storage.origins import BLOB, MANIFEST, Origin
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.clock import Clock
from tests.unit.services.conftest import hold, image_of, parts
from tests.unit.services.rebuild.conftest import A, Again, rows_of


@pytest.mark.parametrize("drawn", ["x#y", "a/b", f"copies/{'0' * 32}", "a|b"])
@pytest.mark.parametrize("kind", [BLOB, MANIFEST])
async def test_an_object_that_another_has_named_is_listed(
    stores: Stores, prepared: Memory, rebuild: Again, clock: Clock, drawn: str, kind: str
) -> None:
    """It is a copy with all that ours says, and its name would be no key."""
    body = image_of(parts(1)).body
    about = Origin(kind, clock(), "x", A, Digest.of(body), OCI_MANIFEST)
    name = f"{stores.generation}/{drawn}"
    await prepared.objects.put(name, body, about.metadata())
    report = await rebuild()
    assert [fault.what for fault in report.faults] == [name]
    assert rows_of(prepared) == {}


async def test_a_time_without_its_zone_stops_nothing(
    stores: Stores, prepared: Memory, rebuild: Again, clock: Clock
) -> None:
    """Of two lives of a manifest one says when it began, and not by which clock."""
    await hold(stores, *parts(1))
    image = image_of(parts(1))
    about = Origin(MANIFEST, clock(), "x", A, image.digest, OCI_MANIFEST)
    naive = replace(about, made=clock().replace(tzinfo=None))
    for drawn, said in (("0" * 32, about), ("1" * 32, naive)):
        name = keys.object_name(stores.generation, drawn)
        await prepared.objects.put(name, image.body, said.metadata())
    report = await rebuild()
    assert [fault.what for fault in report.faults] == [name]
    record = await stores.contents.manifest(A, image.digest, with_body=False)
    assert record
    assert record.life == "0" * 32
