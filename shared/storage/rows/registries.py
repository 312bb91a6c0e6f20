"""Registries: a row for each, which says what it is, and in which layout its state is written.

    registries   registry   NAME    generation, layout, login server, account, flags,
                                    policies, grace

Tables may be lost, and rows of them made anew. So the same, with what the registry is called, its
state and the time, is written beforehand as the object GENERATION of the container
`registries`; before each change as GENERATION/INVERSE, the newest first. One of a generation that
did not come to be has no content; a change that was written and not made does no harm.

LAYOUT is the version of everything in storage: of keys, of what rows hold, of objects' names. An
app reads the version that it writes, and the one before. State of any other version is refused
before anything is read or written.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from shared.storage import keys
from shared.storage.master_key.source import MasterKeySource
from shared.storage.ports import (
    Conflict,
    Insert,
    NotFound,
    Objects,
    Row,
    Rows,
    Unavailable,
    Update,
    Value,
)
from shared.storage.rows.signing_keys import SealBroken, SigningKey, SigningKeys

LAYOUT = 1
_READ = (LAYOUT,)

ACTIVE = "active"
"""The state of a registry that is there."""

ACCOUNT = "AzureWebJobsStorage"
"""The setting that says where a registry's storage account is: so far there is one."""

READ_LOCKS = "read-locks"
"""The flag that something may not be read: without it nobody who reads looks for that."""

_TRIES = 8
_PAGE = 1_000
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class StateRefused(Exception):
    """The state in storage is not for this app, or not with these settings; says what to do."""


class MasterKeyWrong(StateRefused):
    """A registry's signing key was sealed with another master key."""


class LayoutRefused(StateRefused):
    """A registry's state was written in a layout that this app does not read."""


@dataclass(frozen=True, slots=True)
class Policies:
    """What a registry does by itself, and what it does not let happen.

    It keeps what was deleted for so many days; 0: not at all. Under `is_write_once` a tag does not
    move; with `is_never_freed` the name of one that was deleted is not used again, either.
    """

    soft_delete_days: int = 7
    is_write_once: bool = False
    is_never_freed: bool = False

    @property
    def keeps_names(self) -> bool:
        """Whether the name of a tag, once it is used, is kept."""
        return self.is_write_once and self.is_never_freed

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what `text` wrote; what is not there is as usual."""
        values = json.loads(text)
        return cls(**{name: values[name] for name in cls.__slots__ if name in values})

    def text(self) -> str:
        """Give the form that the row holds."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__})


USUAL = Policies()


@dataclass(frozen=True, slots=True)
class Grace:
    """For how long a blob is safe after it was last seen.

    Where that was lowered, what was promised before still holds: it is the `longer` span, `until`
    that has passed once.
    """

    span: timedelta = timedelta()
    longer: timedelta = timedelta()
    until: datetime = _LONG_AGO

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what `text` wrote; what follows is a later version's."""
        span, longer, until, *_ = json.loads(text)
        return cls(
            timedelta(seconds=span), timedelta(seconds=longer), datetime.fromisoformat(until)
        )

    def text(self) -> str:
        """Give the form that the row holds."""
        spans = self.span.total_seconds(), self.longer.total_seconds()
        return json.dumps([*spans, self.until.isoformat()])

    def at(self, now: datetime) -> timedelta:
        """Give what is in force."""
        return self.longer if now < self.until else self.span

    def changed(self, span: timedelta, now: datetime) -> "Grace":
        """Give what is in force once the setting is another."""
        before = self.at(now)
        if span == self.span:
            return self
        return Grace(span, before, now + before) if span < before else Grace(span)


@dataclass(frozen=True, slots=True)
class RegistryRecord:
    """A registry that is there.

    `login_server` is the one of its names that stands for it, empty where it follows from its name;
    `account` names the setting with the storage account of its content; `flags` say what is in use
    that others need not look for; `signing_keys` are the oldest first.
    """

    name: str
    generation: str
    signing_keys: Sequence[SigningKey]
    login_server: str = ""
    account: str = ACCOUNT
    flags: frozenset[str] = frozenset()
    policies: Policies = Policies()
    grace: Grace = Grace()


class RegistryRecords:
    """The rows of all registries. Their signing keys are sealed with the master key."""

    def __init__(self, rows: Rows, beside: Objects, master_keys: MasterKeySource) -> None:
        self._rows = rows
        self._beside = beside
        self._master_keys = master_keys
        self._keys = SigningKeys(rows, master_keys)

    async def find(self, name: str) -> RegistryRecord | None:
        """Read a registry; raises StateRefused."""
        row = await self._rows.get(keys.REGISTRIES, keys.REGISTRY_PARTITION, name)
        if row is None:
            return None
        check_layout(row)
        generation = str(row.values["generation"])
        try:
            return record_of(row, await self._keys.of(generation))
        except SealBroken:
            raise MasterKeyWrong(self._master_keys.wrong(name)) from None

    async def of(self, generation: str) -> RegistryRecord | None:
        """Read the registry that has this generation, without its keys; raises StateRefused."""
        rows = await self._rows.scan(
            keys.REGISTRIES,
            keys.REGISTRY_PARTITION,
            after="",
            before=keys.end_of(""),
            limit=1,
            where={"generation": generation},
        )
        if not rows:
            return None
        check_layout(rows[0])
        return record_of(rows[0])

    async def all(self) -> list[RegistryRecord]:
        """Read all registries, without their keys; those of a layout that we do not read are not.

        They are few: this is one call for a thousand.
        """
        found: list[RegistryRecord] = []
        after = ""
        while rows := await self._rows.scan(
            keys.REGISTRIES,
            keys.REGISTRY_PARTITION,
            after=after,
            before=keys.end_of(""),
            limit=_PAGE,
        ):
            found += [record_of(row) for row in rows if row.values.get("layout") in _READ]
            if len(rows) < _PAGE:
                break
            after = rows[-1].key
        return found

    async def change(
        self,
        name: str,
        generation: str,
        change: Callable[[RegistryRecord], RegistryRecord],
        now: datetime,
    ) -> None:
        """Change flags, policies or the grace period of a registry that is still this one.

        What does not change stays as it was written: a later version may have more to say in it.
        """
        for _ in range(_TRIES):
            row = await self._rows.get(keys.REGISTRIES, keys.REGISTRY_PARTITION, name)
            if row is None or row.values["generation"] != generation:
                return
            there = record_of(row)
            changed = change(there)
            if changed == there:
                return
            new, old = _values(changed), _values(there)
            differing = {key: value for key, value in new.items() if value != old[key]}
            kept = {key: row.values[key] for key in new if key in row.values}  # a later version's
            values = {**new, **kept, **differing}
            await self._put(keys.registry(generation, now), name, values, now)
            update = Update(name, values, row.etag)
            try:
                await self._rows.commit(keys.REGISTRIES, keys.REGISTRY_PARTITION, [update])
            except (Conflict, NotFound):
                continue
            return
        raise Unavailable(f"registry {name} is being changed too often")

    async def create(self, record: RegistryRecord, now: datetime) -> None:
        """Make a registry, unless there is one of its name.

        The object and the key go first: a registry that is there has them. The master key goes
        before all: it is not made any more where there is a registry. A key of a generation
        which then is not made stays: whoever is told that the name is taken may have taken it
        himself, by a call that the SDK repeated.
        """
        await self._master_keys.read()
        await self._write(record.generation, record, now)
        await self._keys.make(record.generation, now)
        row = Insert(record.name, _values(record))
        try:
            await self._rows.commit(keys.REGISTRIES, keys.REGISTRY_PARTITION, [row])
        except Conflict:
            await self._take_back(record)

    async def bring_back(self, record: RegistryRecord) -> bool:
        """Make the row of a registry that has lost it; False where there is one of its name."""
        row = Insert(record.name, _values(record))
        try:
            await self._rows.commit(keys.REGISTRIES, keys.REGISTRY_PARTITION, [row])
        except Conflict:
            return False
        return True

    async def _write(self, object_name: str, record: RegistryRecord, now: datetime) -> None:
        """Write down what a rebuild must know."""
        await self._put(object_name, record.name, _values(record), now)

    async def _put(
        self, object_name: str, name: str, values: Mapping[str, Value], now: datetime
    ) -> None:
        said = {"name": name, "state": ACTIVE, "written": now.isoformat(), **values}
        with suppress(Conflict):  # the SDK repeated it
            await self._beside.put(object_name, json.dumps(said).encode(), {})

    async def _take_back(self, record: RegistryRecord) -> None:
        """Remove what was written of a registry, if it is another that has the name."""
        row = await self._rows.get(keys.REGISTRIES, keys.REGISTRY_PARTITION, record.name)
        facts = await self._beside.facts(record.generation)
        if facts and (row is None or row.values["generation"] != record.generation):
            await self._beside.delete(record.generation, facts.etag)

    async def rotate(
        self, record: RegistryRecord, now: datetime, retired: Sequence[str] = ()
    ) -> str:
        """Give a registry a new signing key, and remove the `retired` ones; give its id."""
        return await self._keys.make(record.generation, now, retired)


def _values(record: RegistryRecord) -> dict[str, str | int]:
    return {
        "generation": record.generation,
        "layout": LAYOUT,
        "login_server": record.login_server,
        "account": record.account,
        "flags": " ".join(sorted(record.flags)),
        "policies": record.policies.text(),
        "grace": record.grace.text(),
    }


def record_of(row: Row, signing_keys: Sequence[SigningKey] = ()) -> RegistryRecord:
    """Read a registry's row."""
    return RegistryRecord(
        name=row.key,
        generation=str(row.values["generation"]),
        signing_keys=signing_keys,
        login_server=str(row.values["login_server"]),
        account=str(row.values["account"]),
        flags=frozenset(str(row.values["flags"]).split()),
        policies=Policies.read(str(row.values["policies"])),
        grace=Grace.read(str(row.values["grace"])) if "grace" in row.values else Grace(),
    )


def check_layout(row: Row) -> None:
    """Raise LayoutRefused where a registry's row, and so its state, is not for this app."""
    layout = row.values.get("layout")
    if layout in _READ:
        return
    if layout is None:
        raise LayoutRefused(
            f"the state of registry {row.key} is older than version {LAYOUT} of the layout, the"
            " first one that is kept: start with a storage account (for make run: a DATA) that is"
            " empty, and push again"
        )
    raise LayoutRefused(
        f"the state of registry {row.key} has version {layout!r} of the layout, and this app reads"
        f" {LAYOUT}: deploy the version of the app that wrote it, or a later one"
    )
