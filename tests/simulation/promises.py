"""Promises that hold at every moment, whoever is in the midst of what."""

import functools
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import cast

from shared.events import ManifestDeleted, ManifestRotted
from shared.model.digest import Digest
from shared.model.manifests.descriptor import Descriptor
from shared.model.manifests.manifest import Manifest, read_manifest
from shared.model.names import RepositoryName, Tag, is_referrers_tag
from shared.storage import keys
from shared.storage.ages import L
from shared.storage.origins import CANCELLED
from shared.storage.ports import Row
from shared.storage.rows.holdings import BAD
from shared.storage.rows.records import DeletedRecord, ManifestRecord, TagRecord, row_body
from tests.simulation.world import GENERATION, World
from tests.support.messages import addressed

read = functools.cache(read_manifest)


@functools.cache
def _is(data: bytes, digest: Digest) -> bool:
    return Digest.of(data, digest.algorithm) == digest


def broken(world: World, *, is_sparse: bool) -> Iterator[str]:
    """Tell what does not hold."""
    yield from strangers(world)
    for repository, rows in world.repositories():
        yield from _repository(world, repository, rows)
        for row in rows.values():
            yield from _row(world, repository, rows, row, is_sparse=is_sparse)
    for digest, rows in world.digests():
        yield from _holdings(world, digest, rows)
    yield from _events(world)


def _row(
    world: World,
    repository: RepositoryName,
    rows: Mapping[str, Row],
    row: Row,
    *,
    is_sparse: bool,
) -> Iterator[str]:
    kind = row.key.partition("|")[0]
    if kind == "tag":
        yield from _tag(repository, rows, row)
    elif kind in {"tagged", "newest"}:
        yield from _side(repository, rows, row)
    elif kind == "manifest":
        yield from _manifest(world, repository, rows, row, is_sparse=is_sparse)
    elif kind == "deleted":
        yield from _kept(world, repository, rows, row)
    elif kind == "blob":
        yield from _link(world, repository, row)


def _repository(world: World, repository: RepositoryName, rows: Mapping[str, Row]) -> Iterator[str]:
    about = _about(rows)
    if repository in world.closed and about.get("read_enabled", True):
        yield f"everyone reads {repository}, which was closed to all"
    is_locked = not about.get("write_enabled", True)
    if keys.WRITABLE in rows and (is_locked or about.get("deletion")):
        yield f"{repository} takes pushes, and is locked or being deleted"


def _kept(
    world: World, repository: RepositoryName, rows: Mapping[str, Row], row: Row
) -> Iterator[str]:
    """Tell what a life that may come back, and did not, has lost of what it used."""
    deleted = DeletedRecord.read(row)
    manifest = _read(world, row)
    is_over = world.clock.now >= deleted.until + 4 * L
    if is_over or not manifest or _has_other_lives(rows, deleted.manifest):
        return
    for each in _targets(manifest):
        if keys.edge(each.digest, manifest.digest, deleted.manifest.life) not in rows:
            yield f"{repository}: {row.key} is kept, and its edge to {each.digest} is not"


def _has_other_lives(rows: Mapping[str, Row], record: ManifestRecord) -> bool:
    kept = [key for key in rows if key.startswith(f"deleted|{record.digest}|")]
    return keys.manifest(record.digest) in rows or len(kept) > 1


def _events(world: World) -> Iterator[str]:
    said = "".join(
        body for queue, body, _ in addressed(world.messages.sent) if queue == keys.EVENTS
    )
    for key in world.rows.told:
        if key not in said:
            yield f"the event {key} has happened and nobody hears of it"
    for key in world.rows.lost:
        yield f"the event {key} has gone and was not handed on"
    kinds = {ManifestDeleted.__name__, ManifestRotted.__name__}
    events = world.rows.told.values()
    told = Counter(str(event["life"]) for event in events if event["event"] in kinds)
    if told != Counter(world.rows.ended):
        yield f"the lives {world.rows.ended} are over, and it is told of {[*told.elements()]}"


def _tag(repository: RepositoryName, rows: Mapping[str, Row], row: Row) -> Iterator[str]:
    tag = TagRecord.read(row)
    if keys.manifest(tag.digest) not in rows:
        yield f"{repository}: {row.key} points to no manifest"
    elif rows[keys.manifest(tag.digest)].values["media_type"] != tag.media_type:
        yield f"{repository}: {row.key} is of another media type than its manifest"
    for key in (keys.tagged(tag.digest, tag.name), keys.newest(tag.updated, tag.name)):
        if key not in rows or rows[key].values.get("life"):
            yield f"{repository}: {row.key} is there without {key}"


def _side(repository: RepositoryName, rows: Mapping[str, Row], row: Row) -> Iterator[str]:
    """Tell of a row that says what a tag points to where the tag says something else."""
    side = TagRecord.read(row)
    there = rows.get(keys.tag(side.name))
    is_wrong = there is None or TagRecord.read(there).digest != side.digest
    if is_wrong and not row.values.get("life"):
        yield f"{repository}: {row.key} is there and {keys.tag(side.name)} is not so"


def _manifest_of(tag: Row) -> str:
    return keys.manifest(Digest.parse(cast("str", tag.values["digest"])))


def _manifest(
    world: World,
    repository: RepositoryName,
    rows: Mapping[str, Row],
    row: Row,
    *,
    is_sparse: bool,
) -> Iterator[str]:
    manifest = _read(world, row)
    if manifest is None and row.values.get("object") in world.rotten:
        return  # it is deleted when that is noticed
    if manifest is None:
        yield f"{repository}: {row.key} has not its bytes"
        return
    life = str(row.values["life"])
    needed = [keys.REPOSITORY]
    needed += [keys.edge(each.digest, manifest.digest, life) for each in _targets(manifest)]
    if not is_sparse and not row.values["is_incomplete"]:
        needed += [
            keys.blob(blob.digest)
            for blob in manifest.blobs
            if not blob.is_foreign and not _was_bad(world, blob.digest)
        ]
    about = _about(rows)
    if not about.get("deletion") and about.get("write_enabled", True):
        needed.append(keys.WRITABLE)
    if manifest.subject:
        needed.append(keys.referrer(manifest.subject.digest, manifest.digest))
    for key in needed:
        if key not in rows:
            yield f"{repository}: {row.key} is there without {key}"


def _was_bad(world: World, digest: Digest) -> bool:
    """Tell whether bytes of a blob are, or have been, bad: then links come back with good ones."""
    return digest in world.spoiled


def _about(rows: Mapping[str, Row]) -> Mapping[str, object]:
    return rows[keys.REPOSITORY].values if keys.REPOSITORY in rows else {}


def _targets(manifest: Manifest) -> tuple[Descriptor, ...]:
    return (*manifest.blobs, *manifest.children)


def _read(world: World, row: Row) -> Manifest | None:
    digest = Digest.parse(row.key.split("|")[1])
    body = row_body(row)
    if body is None:
        kept = world.objects_now().get(cast("str", row.values["object"]))
        body = kept.data if kept else b""
    media_type = cast("str", row.values["media_type"])
    return read(body, media_type) if _is(body, digest) else None


def _link(world: World, repository: RepositoryName, row: Row) -> Iterator[str]:
    digest = Digest.parse(keys.last_part(row.key))
    rows = world.holders(digest)
    content = rows.get(keys.CONTENT)
    if row.values["object"] in world.rotten:
        if row.values["object"] not in world.objects_now():
            yield f"{repository}: the link to {digest} names bad bytes that are gone"
    elif content is None or content.values["object"] != row.values["object"]:
        yield f"{repository}: the link to {digest} names an object that is not its content"
    if keys.holder(repository) not in rows:
        yield f"{repository} shows {digest} and is not among its holders"


def _holdings(world: World, digest: Digest, rows: Mapping[str, Row]) -> Iterator[str]:
    content = rows.get(keys.CONTENT)
    holders = [key for key in rows if key.startswith("repo|")]
    if content is None:
        if holders:
            yield f"{digest} has holders and no content"
        return
    name = str(content.values["object"])
    kept = world.objects_now().get(name)
    if name not in world.rotten and (kept is None or not _is(kept.data, digest)):
        yield f"{digest} has not its bytes"
    if not holders:
        yield f"{digest} has content and no holder"
    if content.values["state"] == BAD:
        if keys.good(name) in rows or keys.gone(name) not in rows:
            yield f"{digest} has bad content that is joined, or forgotten"
    elif keys.good(name) not in rows or _is_noted(rows, name, content):
        yield f"{digest} has content that is not sound"


def _is_noted(rows: Mapping[str, Row], name: str, content: Row) -> bool:
    """Tell whether an object is on its way out: this very one, not an earlier one of its name."""
    note = rows.get(keys.gone(name))
    return note is not None and note.values["etag"] == content.values["etag"]


def strangers(world: World) -> Iterator[str]:
    """Tell which objects of another generation are not what they were."""
    for name, data in world.strange.items():
        kept = world.objects_now().get(name)
        if kept is None or kept.data != data:
            yield f"object {name} of another registry is gone"


def out_of_step(world: World) -> Iterator[str]:
    """Tell which lists of referrers are not what the API lists, after all events."""
    for repository, rows in world.repositories():
        for key, row in rows.items():
            name = Tag(keys.last_part(key))
            if not key.startswith("tag|") or not is_referrers_tag(name):
                continue
            manifest = _read(world, rows[_manifest_of(row)])
            listed = {str(child.digest) for child in manifest.children} if manifest else set()
            under = keys.referrers_under(name)
            there = {keys.last_part(each) for each in rows if each.startswith(under)}
            if listed != there:
                yield f"{repository}: the list {name} has {listed} and not {there}"


def listed_for_nothing(world: World) -> Iterator[str]:
    """Tell what is in the catalog without a manifest, after all events."""
    for name in world.listed():
        rows = world.contents(name)
        is_locked = not _about(rows).get("write_enabled", True)
        holds = any(key.startswith(("manifest|", "build|")) for key in rows)
        if not holds and not is_locked:
            yield f"{name} is in the catalog for nothing"
    for name in world.kept_in():
        if not any(key.startswith("deleted|") for key in world.contents(name)):
            yield f"{name} is listed among what keeps something deleted, and keeps nothing"


def uncopied(world: World) -> Iterator[str]:
    """Tell which manifests the objects alone would not give back, after all events."""
    for repository, rows in world.repositories():
        for key, row in rows.items():
            if not key.startswith("manifest|"):
                continue
            copy = world.objects_now().get(_copy(row))
            if copy is None or not _is(copy.data, Digest.parse(keys.last_part(key))):
                yield f"{repository}: of {key} there is no copy"


def left(world: World) -> Iterator[str]:
    """Tell what is left that nobody needs, after all that is unused was collected."""
    objects = world.objects_now().items()
    wanted = {name for name, it in objects if it.metadata["kind"] == CANCELLED}  # for 7 days
    for repository, rows in world.repositories():
        wanted |= {str(row.values["object"]) for row in rows.values() if "object" in row.values}
        wanted |= {_copy(row) for key, row in rows.items() if key.startswith("manifest|")}
        yield from _left_in(repository, rows)
        wanted -= world.rotten
        yield from _bad_links(world, repository, rows)
    for digest, rows in world.digests():
        content = rows.get(keys.CONTENT)
        is_bad = content is not None and content.values["state"] == BAD
        for key in rows:
            if key.startswith("gone|") and not is_bad:
                yield f"{digest}: {key} is not forgotten"
            if key.startswith("repo|") and not is_bad:
                repository = keys.decode_repository(keys.last_part(key))
                if _is_used(world, repository, digest):
                    wanted |= {str(content.values["object"])} if content else set()
                else:
                    yield f"{repository} is among the holders of {digest} without a link"
    for name in world.objects_now().keys() - wanted - world.strange.keys():
        yield f"object {name} is not used and is not removed"


def _copy(manifest: Row) -> str:
    """Name the object that has a copy of a manifest's body."""
    return keys.object_name(GENERATION, str(manifest.values["life"]))


def _is_used(world: World, repository: RepositoryName, digest: Digest) -> bool:
    """Tell whether a repository shows a blob, or has an edge to it: the collector stops there."""
    uses = keys.blob(digest), keys.edges_of(digest)
    return any(each.startswith(uses) for each in world.contents(repository))


def _bad_links(world: World, repository: RepositoryName, rows: Mapping[str, Row]) -> Iterator[str]:
    """Tell which digests lie, or are not shown again, when all is healed that can be."""
    for key, row in rows.items():
        if key.startswith("blob|") and row.values["object"] in world.rotten:
            yield f"{repository}: {key} names bad bytes"
    for key in rows:
        if not key.startswith("edge|"):
            continue
        target = key.split("|")[1]
        user, life = keys.user_of(key)
        live = rows.get(keys.manifest(user))
        content = world.holders(Digest.parse(target)).get(keys.CONTENT)
        is_sound = content is not None and content.values["state"] != BAD
        is_shown = f"blob|{target}" in rows or f"manifest|{target}" in rows
        is_live = live is not None and live.values["life"] == life
        is_whole = live is not None and not live.values["is_incomplete"]
        if is_sound and world.rotten and is_live and is_whole and not is_shown:
            yield f"{repository}: {target} is not shown again"


_NEVER_LEFT = {
    "build": "is not brought to its end",
    "deleted": "is not brought to its end",
    "outbox": "waits, and nobody hears of it",
}


def _left_in(repository: RepositoryName, rows: Mapping[str, Row]) -> Iterator[str]:
    used = {key.split("|")[1] for key in rows if key.startswith("edge|")}
    for key in rows:
        last = keys.last_part(key)
        if key.startswith("blob|") and last not in used:
            yield f"{repository}: {key} is not used and is not collected"
        if key.startswith("referrer|") and f"manifest|{last}" not in rows:
            yield f"{repository}: {key} has no manifest"
        if fault := _NEVER_LEFT.get(key.partition("|")[0]):
            yield f"{repository}: {key} {fault}"
        if key.startswith("tagged|") and rows[key].values["life"]:
            yield f"{repository}: {key} is marked for nothing"
        if key.startswith("edge|"):
            user, life = keys.user_of(key)
            live = rows.get(keys.manifest(user))
            if live is None or live.values["life"] != life:
                yield f"{repository}: {key} comes from no life"
