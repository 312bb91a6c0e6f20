"""Read locks: what is locked is not pulled, and where there is none nobody looks."""

from collections.abc import Sequence

import pytest

from shared import bootstrap
from shared.assembly.registry import Registry
from shared.model.attributes import Wanted
from shared.model.digest import Digest
from shared.model.names import RepositoryName, Tag
from shared.storage import keys
from shared.storage.ports import Row
from tests.support.app import LOGIN_SERVER, Site
from tests.support.images import image

IMAGE = image(seed=3)
LAYER = IMAGE.blobs[1]
A, V1 = RepositoryName("a"), Tag("v1")
MANIFEST, BY_TAG = f"/v2/a/manifests/{IMAGE.manifest.digest}", "/v2/a/manifests/v1"
BLOB = f"/v2/a/blobs/{LAYER.digest}"
LOCKED, FREE = Wanted(read_enabled=False), Wanted(read_enabled=True)


@pytest.fixture
async def pushed(site: Site) -> Site:
    await site.push("a", IMAGE, "v1")
    return site


async def attend(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Let a minute have passed."""
    with monkeypatch.context() as patch:
        patch.setattr(bootstrap, "_KEPT_SECONDS", -1)
        return await bootstrap.registries().at(LOGIN_SERVER)


@pytest.fixture
def reads(pushed: Site, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The rows of repositories that are read."""
    seen: list[str] = []
    get = pushed.memory.rows.get

    async def counted(
        table: str, partition: str, key: str, only: Sequence[str] | None = None
    ) -> Row | None:
        if table == keys.CONTENTS:
            seen.append(key.partition("|")[0])
        return await get(table, partition, key, only)

    monkeypatch.setattr(pushed.memory.rows, "get", counted)
    return seen


async def statuses(site: Site, method: str, paths: Sequence[str]) -> set[int]:
    return {(await site.call(method, path)).status_code for path in paths}


CASES = [
    ("repository", [BY_TAG, MANIFEST, BLOB], []),
    ("tag", [BY_TAG], [MANIFEST, BLOB]),
    ("manifest", [BY_TAG, MANIFEST], [BLOB]),
]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("locked", "refused", "open_"), CASES, ids=[it[0] for it in CASES])
@pytest.mark.parametrize("is_warm", [True, False], ids=["warm", "cold"])
async def test_what_is_locked_is_not_pulled(
    pushed: Site,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    locked: str,
    refused: Sequence[str],
    open_: Sequence[str],
    is_warm: bool,
) -> None:
    async def change(wanted: Wanted) -> Registry:
        changes = here.attributes
        if locked == "repository":
            await changes.repository(A, wanted)
        elif locked == "tag":
            await changes.tag(A, V1, wanted)
        else:
            await changes.manifest(A, Digest.parse(IMAGE.manifest.digest), wanted)
        again = await attend(monkeypatch)
        if not is_warm:
            again.stores.bodies._bodies.clear()
        return again

    here = await bootstrap.registries().at(LOGIN_SERVER)
    here = await change(LOCKED)
    assert await statuses(pushed, method, refused) == {405}
    assert await statuses(pushed, method, open_) <= {200}
    assert (await pushed.call("GET", "/v2/a/tags/list")).json()["tags"] == ["v1"]
    await change(FREE)
    assert await statuses(pushed, method, refused) == {200}


async def test_a_refusal_says_what_is_locked(pushed: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    here = await bootstrap.registries().at(LOGIN_SERVER)
    await here.attributes.tag(A, V1, LOCKED)
    await attend(monkeypatch)
    answer = await pushed.call("GET", BY_TAG)
    assert answer.headers["Allow"] == "DELETE"
    (error,) = answer.json()["errors"]
    assert error == {
        "code": "REGISTRY_DISALLOWED_OPERATION",
        "message": "tag v1 of a is locked against reading: unlock it first",
        "detail": {},
    }


async def test_what_is_locked_is_not_mounted(pushed: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    here = await bootstrap.registries().at(LOGIN_SERVER)
    await here.attributes.repository(A, LOCKED)
    await attend(monkeypatch)
    mount = f"/v2/b/blobs/uploads/?mount={LAYER.digest}"
    for path in (f"{mount}&from=a", mount):
        assert (await pushed.call("POST", path)).status_code == 202
    await here.attributes.repository(A, FREE)
    assert (await pushed.call("POST", f"{mount}&from=a")).status_code == 201


async def test_it_may_still_be_deleted(pushed: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    here = await bootstrap.registries().at(LOGIN_SERVER)
    await here.attributes.repository(A, LOCKED)
    await attend(monkeypatch)
    assert (await pushed.call("DELETE", MANIFEST)).status_code == 202


async def test_nobody_looks_where_there_is_no_read_lock(
    pushed: Site, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = await bootstrap.registries().at(LOGIN_SERVER)
    await here.attributes.tag(A, V1, Wanted(write_enabled=False, delete_enabled=False))
    await attend(monkeypatch)
    seen = []
    for path in (BY_TAG, MANIFEST, BLOB):
        for method in ("GET", "HEAD"):
            reads.clear()
            assert (await pushed.call(method, path)).status_code == 200
            seen.append(list(reads))
    assert seen == [["tag"], ["tag"], ["manifest"], ["manifest"], ["blob"], ["blob"]]


async def test_the_first_read_lock_takes_effect_within_a_minute(
    pushed: Site, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = await bootstrap.registries().at(LOGIN_SERVER)
    await here.attributes.repository(A, LOCKED)
    assert (await pushed.call("GET", BLOB)).status_code == 200
    assert (await attend(monkeypatch)).stores.flags == {"read-locks"}
    reads.clear()
    assert (await pushed.call("GET", BLOB)).status_code == 405
    assert reads == ["repository"]
