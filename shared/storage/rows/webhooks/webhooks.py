"""Webhooks: a row for each, under its name in small letters.

    webhooks   GENERATION   NAME   what it hears of and how it is told; `sealed`, where and with
                                   which secrets; `health`, how its receiver does

Every change is made by the ETag that was read: of two who change one webhook at once, the later
reads again. A webhook that is made under the name of one that is gone has an id of its own, and
what is sealed opens for that id alone.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, cast

import orjson

from shared.model.webhooks.webhook import Action, Form, Health, Hmac, Scope, Webhook
from shared.storage import ages, keys
from shared.storage.ports import Conflict, Delete, Insert, NotFound, Row, Rows, Update, Value

_PAGE = 1_000
_SMALL = (
    *("name", "id", "created", "is_enabled", "scope", "actions", "form", "hmacs"),
    *("is_tagged_only", "retries_4xx", "seconds", "health"),
)

_TIMES = ("failing", "held", "due")


class Webhooks:
    """The webhooks of one registry generation."""

    def __init__(self, rows: Rows, generation: str) -> None:
        self._rows = rows
        self._generation = generation

    async def find(self, name: str) -> Webhook | None:
        """Read one by its name, in whichever letters."""
        row = await self._rows.get(keys.WEBHOOKS, self._generation, keys.webhook(name))
        return _read(row) if row else None

    async def all(self, *, is_whole: bool = False) -> list[Webhook]:
        """Read all, by name: one call, for they are few.

        What is sealed and their `ca`, which are large, are left out unless all `is_whole`.
        """
        found: list[Webhook] = []
        after = ""
        while rows := await self._scan(after, None if is_whole else _SMALL):
            found += map(_read, rows)
            if len(rows) < _PAGE:
                break
            after = rows[-1].key
        return found

    async def create(self, webhook: Webhook) -> Webhook:
        """Write a new one, and give it as it is there; raises Conflict where the name is taken.

        It hears of nothing that was before, so where the clock here is wrong, it was `created` when
        the store says: operators make webhooks on machines of their own.
        """
        key = keys.webhook(webhook.name)
        (etag,) = await self._commit(Insert(key, _values(webhook)))
        made = replace(webhook, etag=etag)
        row = await self._rows.get(keys.WEBHOOKS, self._generation, key, only=("id",))
        if row is None or row.etag != etag or abs(row.written - made.created) < ages.L / 2:
            return made
        with suppress(Conflict, NotFound):
            return await self.change(replace(made, created=row.written))
        return made

    async def change(self, webhook: Webhook) -> Webhook:
        """Write one in the place of what was read, and give it with its new ETag.

        One that `all` gave keeps what that did not read. Raises NotFound, Conflict.
        """
        key = keys.webhook(webhook.name)
        (etag,) = await self._commit(Update(key, _values(webhook), webhook.etag))
        return replace(webhook, etag=etag)

    async def delete(self, webhook: Webhook) -> None:
        """Remove one, as it was read; raises NotFound, Conflict."""
        await self._commit(Delete(keys.webhook(webhook.name), webhook.etag))

    async def _scan(self, after: str, only: Sequence[str] | None) -> Sequence[Row]:
        return await self._rows.scan(
            keys.WEBHOOKS,
            self._generation,
            after=after,
            before=keys.end_of(""),
            limit=_PAGE,
            only=only,
        )

    async def _commit(self, change: Insert | Update | Delete) -> list[str]:
        return await self._rows.commit(keys.WEBHOOKS, self._generation, [change])


def _values(webhook: Webhook) -> Mapping[str, Value]:
    small: dict[str, Value] = {
        "name": webhook.name,
        "id": webhook.id,
        "created": webhook.created,
        "is_enabled": webhook.is_enabled,
        "scope": str(webhook.scope),
        "actions": " ".join(sorted(webhook.actions)),
        "form": str(webhook.form),
        "hmacs": orjson.dumps([asdict(hmac) for hmac in webhook.hmacs]).decode(),
        "is_tagged_only": webhook.is_tagged_only,
        "retries_4xx": webhook.retries_4xx,
        "seconds": webhook.seconds,
        "health": orjson.dumps(webhook.health).decode(),
    }
    if not webhook.sealed:
        return small
    return {**small, "sealed": webhook.sealed, "ca": webhook.ca.encode()}


def _read(row: Row) -> Webhook:
    said = row.values
    scope = str(said["scope"])
    repository, _, tag = scope.partition(":")
    return Webhook(
        name=str(said["name"]),
        id=str(said["id"]),
        created=cast("datetime", said["created"]),
        sealed=cast("bytes", said.get("sealed", b"")),
        is_enabled=cast("bool", said["is_enabled"]),
        scope=Scope(repository, tag) if scope else Scope(),
        actions=frozenset(map(Action, str(said["actions"]).split())),
        form=Form(str(said["form"])),
        hmacs=tuple(Hmac(**_known(Hmac, hmac)) for hmac in orjson.loads(str(said["hmacs"]))),
        is_tagged_only=cast("bool", said["is_tagged_only"]),
        retries_4xx=cast("bool", said["retries_4xx"]),
        seconds=cast("int", said["seconds"]),
        ca=cast("bytes", said.get("ca", b"")).decode(),
        health=_health(orjson.loads(str(said["health"]))),
        etag=row.etag,
    )


def _health(said: dict[str, str | int | None]) -> Health:
    times = {name: datetime.fromisoformat(str(said[name])) for name in _TIMES if said.get(name)}
    return Health(**{**_known(Health, said), **times})


def _known(kind: type[Hmac | Health], said: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what a later version has written."""
    return {name: said[name] for name in kind.__slots__ if name in said}
