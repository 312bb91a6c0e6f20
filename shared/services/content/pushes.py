"""Pushing a manifest: one transaction with all that it changes (`plans` has the rows).

Nothing is read first. Which rows are there already is expected (`Hints`) and tried; the store's
answer tells which expectation was wrong, and the next try knows. So a new tag of a new manifest
costs a message and one transaction, and whatever happens at the same time, what is written is what
the conditions saw:

    who takes a link or a child     the merge of it fails: the push looks what is there, and tells
    a lock, a deletion of all       `writable` is not there: the push reads `repository`, and tells
    another push of the manifest    one insert fails, and tags what the other has made
    another push of the tag         the tag's ETag has changed: all is read anew, and tried again
    a tag of that name, or its end, where tags are written once: one insert, of the tag or of
                                    `used|`, fails, and the push tells; but if the tag went with
                                    bytes of this very manifest that had rotted, it comes again
    a deletion of the manifest      merging `manifest|` makes the deletion begin again; after it,
                                    the manifest is not there, and inserted

The message of the events goes first, when it is our turn at the tag, and once more before the last
transaction if that took long. If it cannot be sent, nothing has happened yet; if the process dies
after it, whoever reads it finds no rows, or all of them.

A repository's first push, and `retire` (services/upkeep/retirement.py):

    push                                      retire
    P1 `writable` is not there                R1 read the index row, `writable`, `repository`
    P2 read `repository`                      R2 find no manifest and no build
    P3 put the index row                      R3 take `writable`, merge `repository`: as they were
    P4 insert `writable`, merge `repository`  R4 strike off the index row, as it was

P3 before R1: P4 comes within 2 L of P3, or not at all: it is sent within half of L of sending P3,
however much else there is to do, or P2 and P3 are done again. R4 takes no index row that is
younger, unless R3 took a `writable`. P3 after R1: the index row is not as it was. P4 before R3: R3
fails. P4 after R3: `repository` is not as P2 read it, and the push begins again at P1.

With over 100 rows there are several transactions. Each changes `build|` by the ETag that the one
before has left: nobody who ends what is abandoned can do so between two of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import batched

from shared.errors import ManifestBlobUnknown, ManifestInvalid, PreconditionFailed, Unavailable
from shared.events import Cause
from shared.model.attributes import Attributes
from shared.model.digest import Digest
from shared.model.manifests.manifest import Manifest
from shared.model.names import RepositoryName, Tag
from shared.services.attributes.listing import list_as_said
from shared.services.attributes.locks import fixed, locked
from shared.services.content.plans import Build, Names, Opening, Plan
from shared.services.turns.tag_turns import TagTurns
from shared.storage import ages, keys
from shared.storage.ages import Span
from shared.storage.hints import Hints
from shared.storage.messages.errands import Kind
from shared.storage.origins import MANIFEST, Origin
from shared.storage.ports import Conflict, NotFound, Value
from shared.storage.rows.records import INLINE_BYTES, TagRecord
from shared.storage.stores import Stores
from shared.storage.transactions import Transaction

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0

_LOOKED_AT = 256
"""References that are looked at together; the answer names those of them that are missing."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """A manifest that is stored, with the tags that point to it now."""

    digest: Digest
    tags: tuple[Tag, ...]
    subject: Digest | None


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold of the tags before the push (RFC 9110, 13.1).

    `digests` are those of which a tag must have one (`If-Match`; None asks nothing); `is_new` says
    that there must be no such tag (`If-None-Match: *`).
    """

    digests: frozenset[str] | None = None
    is_new: bool = False

    def check(self, tag: TagRecord | None) -> None:
        """Raise PreconditionFailed where the tag is not as asked."""
        if self.is_new and tag is not None:
            raise PreconditionFailed
        if self.digests is None or (tag and "*" in self.digests):
            return
        if tag is None or str(tag.digest) not in self.digests:
            raise PreconditionFailed


class _Surprise(Exception):
    """A row that was not as expected; `key` names it."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key
        self.kind = key.partition("|")[0]


class Pushes:
    """Stores manifests. `is_sparse_allowed` lets a manifest refer to content that is not there.

    With `is_ours` the registry itself pushes: nobody relies on what is named.
    """

    def __init__(self, stores: Stores, *, is_sparse_allowed: bool, is_ours: bool = False) -> None:
        self._stores = stores
        self._contents = stores.contents
        self._clock = stores.clock
        self._ticks = stores.ticks
        self._sparse = frozenset(Names) if is_sparse_allowed else frozenset[Names]()
        self._is_ours = is_ours
        self._hints = Hints()
        self._turns = TagTurns()

    async def put(
        self,
        repository: RepositoryName,
        manifest: Manifest,
        tags: Sequence[Tag],
        *,
        by: Cause,
        condition: Condition | None = None,
    ) -> Pushed:
        """Store a manifest and point the tags to it (end-7).

        Raises:
            ManifestBlobUnknown: it refers to content that the repository does not hold.
            PreconditionFailed: `condition` does not hold of a tag.
            RegistryDisallowedOperation: the repository or a tag that is there is locked, or tags
                are written once, and this one has been.
        """
        async with self._turns.at(repository, tags):
            plan = self._plan(repository, manifest, tags, by)
            plan.may_miss = frozenset(Names) if plan.is_list_of_referrers() else self._sparse
            await self._carry_out(plan, condition or Condition())
        subject = manifest.subject.digest if manifest.subject else None
        return Pushed(manifest.digest, tuple(plan.tags), subject)

    async def restore(
        self,
        repository: RepositoryName,
        manifest: Manifest,
        *,
        kept: Mapping[str, Value],
        linked: frozenset[Digest],
        life: str,
        by: Cause,
    ) -> None:
        """Store a manifest that was deleted, with the values that it had; children may be gone.

        `linked` are the children that it used as blobs.

        Raises ManifestBlobUnknown.
        """
        plan = self._plan(repository, manifest, [], by)
        plan.may_miss, plan.kept, plan.life = frozenset([Names.CHILD]), kept, life
        plan.linked = linked
        await self._carry_out(plan, Condition())

    async def bring_back(
        self,
        repository: RepositoryName,
        manifest: Manifest,
        *,
        life: str,
        body_object: str,
        lacking: frozenset[Digest],
    ) -> None:
        """Store a manifest whose rows were lost, as the life that it was.

        Content that is `lacking` may be missing. Nobody is told: that was done when it was pushed.

        Raises ManifestBlobUnknown.
        """
        plan = self._plan(repository, manifest, [], Cause("rebuild"))
        plan.may_lack, plan.outbox = lacking, {}
        plan.life, plan.body_object = life, body_object
        await self._carry_out(plan, Condition())

    def _plan(
        self, repository: RepositoryName, manifest: Manifest, tags: Sequence[Tag], by: Cause
    ) -> Plan:
        now = self._clock()
        return Plan(
            repository=repository,
            manifest=manifest,
            tags=dict.fromkeys(tags),
            cause=by,
            now=now,
            life=self._stores.new_id(),
            policies=self._stores.policies,
            outbox={tag: self._stores.outbox.key(now) for tag in (tags or [Tag("")])},
            is_ours=self._is_ours,
            is_live=(repository, manifest.digest) in self._hints,
        )

    async def _carry_out(self, plan: Plan, condition: Condition) -> None:
        span = Span(self._ticks)
        await self._tell(plan)
        if condition.digests is not None or any(
            (plan.repository, tag) in self._hints for tag in plan.tags
        ):
            await self._look_at_tags(plan, condition)
        await self._write(plan, condition, span)
        if plan.outbox and plan.told.is_over:
            await self._stores.outbox.promise_again(plan.repository, [*plan.outbox.values()])
        self._remember(plan)

    async def _tell(self, plan: Plan) -> None:
        """Send the message of the events: its last copy drops 2 L later."""
        plan.told = Span(self._ticks, ages.L)
        if plan.outbox:
            await self._stores.outbox.promise(plan.repository, [*plan.outbox.values()])

    async def _write(self, plan: Plan, condition: Condition, span: Span) -> None:
        pause = 0.0
        while True:
            try:
                await self._try(plan)
            except _Surprise as surprise:
                if surprise.kind == "outbox":
                    return  # ids never repeat: this went through, and its answer was lost
                await self._learn(plan, condition, surprise)
                kind = surprise.kind
            else:
                return
            if span.is_over:
                raise Unavailable(f"{plan.repository} is being changed too often: repeat the push")
            if kind in {"tag", "tagged"}:
                await self._stores.pause(pause)
                pause = min(max(2 * pause, _FIRST_PAUSE), _LONGEST_PAUSE)

    async def _try(self, plan: Plan) -> None:
        if len(plan.manifest.body) > INLINE_BYTES and not plan.is_live and not plan.body_object:
            await self._look_at_targets(plan)  # an object says that they were there (`rebuild`)
            await self._keep_body(plan)
        while plan.is_large:
            await self._place_some(plan)
        if plan.told.is_half_over:  # it could drop before the rows come
            await self._tell(plan)
        await self._keep_listed(plan)
        await self._commit(plan, plan.whole())

    async def _keep_listed(self, plan: Plan) -> None:
        """List a new repository again where that was too long ago to be relied on."""
        if plan.opening and plan.opening.span.is_over:
            await self._open(plan, is_missing=True)
        if plan.opening and plan.opening.span.is_over:
            raise Unavailable(f"storage is too slow to begin {plan.repository}: repeat the push")

    async def _commit(self, plan: Plan, transaction: Transaction) -> list[str]:
        changes = [*transaction]
        try:
            return await self._contents.commit(plan.repository, changes)
        except (NotFound, Conflict) as error:
            raise _Surprise(changes[error.index].key) from None

    async def _place_some(self, plan: Plan) -> None:
        """Write some of the references, each with its edge."""
        if plan.build is None and not plan.is_completing:
            await self._stores.errands.send(
                Kind.END_BUILD,
                plan.repository,
                after=2 * ages.L,
                digest=str(plan.digest),
                life=plan.life,
            )
        await self._keep_listed(plan)
        transaction, placed = plan.part()
        etags = await self._commit(plan, transaction)
        build = plan.build or Build()
        plan.build = Build(build.steps + 1, etags[0], build.placed | placed)
        plan.opening = None

    async def _keep_body(self, plan: Plan) -> None:
        name = keys.object_name(self._stores.generation, plan.life)
        by, what = self._stores.new_id(), plan.manifest
        about = Origin(MANIFEST, plan.now, by, plan.repository, what.digest, what.media_type)
        try:
            await self._stores.objects.put(name, what.body, about.metadata())
        except (Conflict, NotFound):
            # The name is new: where it is taken, our own first try took it (its answer was lost).
            if await self._stores.objects.facts(name) is None:
                raise Unavailable(
                    f"the body of {plan.digest} could not be kept: repeat it"
                ) from None
        plan.body_object = name

    async def _learn(self, plan: Plan, condition: Condition, surprise: _Surprise) -> None:
        key, kind = surprise.key, surprise.kind
        if kind in {keys.WRITABLE, keys.REPOSITORY}:
            await self._open(plan, is_missing=kind == keys.WRITABLE and plan.opening is None)
        elif key == keys.manifest(plan.digest):
            await self._look_at_manifest(plan, condition)
        elif kind == "build":
            await self._look_at_build(plan)
        elif kind == "used":
            await self._look_at_tags(plan, condition)
            await self._look_at_name(plan, Tag(keys.last_part(key)))
        else:
            if kind in {"blob", "manifest"} and Digest.parse(keys.last_part(key)) in plan.targets:
                await self._look_at_targets(plan)
            if kind != "blob":
                await self._look_at_tags(plan, condition)

    async def _open(self, plan: Plan, *, is_missing: bool) -> None:
        """Learn why a repository takes no pushes; where it is new or retired, list it."""
        plan.opening = None
        if not is_missing:
            return
        row = await self._contents.repository(plan.repository)
        allowed = Attributes.read(row.values if row else {})
        if not allowed.write_enabled:
            raise locked(plan.repository)
        if row and row.values.get("deletion"):
            raise Unavailable(f"{plan.repository} is being deleted: repeat the push")
        if plan.told.is_over:  # who drops the message looks whether the name is listed for nothing
            await self._tell(plan)
        span = Span(self._ticks)
        await self._stores.index.add(plan.repository, is_listed=allowed.list_enabled)
        if not allowed.list_enabled:  # that may have changed since
            await list_as_said(self._stores, plan.repository)
        plan.opening = Opening(row.etag if row else "", span)

    async def _look_at_manifest(self, plan: Plan, condition: Condition) -> None:
        before = plan.record
        plan.record = await self._contents.manifest(plan.repository, plan.digest, with_body=False)
        if plan.build and plan.record and before and plan.record.life == before.life:
            plan.build.etag = plan.record.etag  # what was completed of this life still is
        elif plan.build:  # what it has placed is left to those who end builds
            plan.build, plan.life, plan.body_object = None, self._stores.new_id(), ""
        plan.is_live = plan.record is not None
        if plan.record and plan.record.media_type.lower() != plan.manifest.media_type.lower():
            raise ManifestInvalid(
                f"{plan.digest} is there as {plan.record.media_type!r}: push it as that"
            )
        if plan.is_completing:
            await self._look_at_targets(plan)
        await self._look_at_tags(plan, condition)

    async def _look_at_build(self, plan: Plan) -> None:
        """Learn whether the last part went through, and its answer was lost."""
        row = await self._contents.build(plan.repository, plan.digest, plan.life)
        build = plan.build or Build()
        if row is None or row.values["steps"] != build.steps + 1:
            raise Unavailable(f"the push of {plan.digest} took too long: repeat it")
        _, placed = plan.part()
        plan.build = Build(build.steps + 1, row.etag, build.placed | placed)
        plan.opening = None

    async def _look_at_targets(self, plan: Plan) -> None:
        """Look at some after the others, and no further than where some are missing.

        So what is refused costs little, however much it names.
        """
        for some in batched(plan.wanted().items(), _LOOKED_AT, strict=False):
            found = await self._contents.found(plan.repository, dict(some))
            missing = plan.found(
                {target: frozenset(map(Names, it)) for target, it in found.items()}
            )
            if missing:
                raise ManifestBlobUnknown([str(digest) for digest in missing])

    async def _look_at_tags(self, plan: Plan, condition: Condition) -> None:
        """Read all of them, so that what is tried next is of one moment."""
        there = await self._contents.some_tags(plan.repository, list(plan.tags))
        for tag in plan.tags:
            condition.check(there.get(tag))
            plan.tags[tag] = there.get(tag)
        for tag, record in there.items():
            if not record.attributes.write_enabled:
                raise locked(f"tag {tag} of {plan.repository}")
            if plan.is_fixed(tag) and record.digest != plan.digest:
                raise fixed(f"tag {tag} of {plan.repository} is there, and does not move")

    async def _look_at_name(self, plan: Plan, tag: Tag) -> None:
        """Learn whose a name is that was used already, where its tag is not there."""
        if plan.tags[tag] is not None:
            return
        if not await self._stores.deleted.is_to_return(plan.repository, plan.digest, tag):
            raise fixed(f"tag {tag} of {plan.repository} was there, and does not come again")
        plan.returning.add(tag)

    def _remember(self, plan: Plan) -> None:
        if not plan.manifest.children and plan.manifest.is_typed:
            self._hints.add((plan.repository, plan.digest))
        for tag in plan.tags:
            self._hints.add((plan.repository, tag))
        self._stores.bodies.keep(plan.digest, plan.manifest.body)
