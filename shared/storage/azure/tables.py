"""Rows in Azure Table storage.

Types: `int` is kept as Int64, `bytes` as Binary, `datetime` as DateTime in UTC, to the microsecond.
One row holds 1 MiB and one transaction carries 4 MiB. Azure sorts keys by UTF-16 unit: the order of
code points, for all characters below U+10000.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, cast

import orjson
from azure.core import MatchConditions
from azure.core.async_paging import AsyncPageIterator
from azure.data.tables import EdmType, EntityProperty, TableEntity, UpdateMode
from azure.data.tables.aio import TableClient

from shared.storage.azure.account.account import AzureAccount
from shared.storage.azure.answers import Answered, in_time, patiently, soon
from shared.storage.azure.errors import translated
from shared.storage.azure.reads import PointReads, Unclear
from shared.storage.ports import (
    ANY,
    MOST_CHANGES,
    Change,
    Delete,
    Insert,
    NotFound,
    Put,
    Row,
    RowsPage,
    Update,
    Value,
)

_PAGE = 1000
_KEYS = ("PartitionKey", "RowKey")

# Where no answer comes, the SDK repeats neither POST nor PATCH, unless it is told to: they have one
# try of a few seconds then, and a connection that has died is not left for another.
_REPEATED = frozenset({"POST", "PATCH", "PUT"})

type _Entity = dict[str, Any]
type _Operation = tuple[str, _Entity, dict[str, Any]]


class AzureRows:
    """Rows in the tables of one storage account."""

    def __init__(self, account: AzureAccount) -> None:
        self._account = account
        self._reads = PointReads(account)
        self._clients: dict[str, TableClient] = {}

    async def prepare(self, tables: Sequence[str]) -> None:
        """Make the tables that are missing."""
        for table in tables:
            with translated(f"table {table}"):
                await patiently(self._account.tables.create_table_if_not_exists(table))

    @soon
    async def get(
        self, table: str, partition: str, key: str, only: Sequence[str] | None = None
    ) -> Row | None:
        """Read one row, or None."""
        answered, selected = Answered(), _select(only)
        with suppress(Unclear):
            return await self._reads.get(table, partition, key, selected)
        try:
            with translated(f"row {key} of {table}"):
                entity = await self._table(table).get_entity(
                    partition, key, select=selected, raw_response_hook=answered
                )
        except NotFound:
            return None
        return _row(key, entity, answered)

    @in_time
    async def scan(  # noqa: PLR0913 - as the port has it
        self,
        table: str,
        partition: str,
        *,
        after: str,
        before: str,
        limit: int,
        where: Mapping[str, str] | None = None,
        only: Sequence[str] | None = None,
    ) -> list[Row]:
        """Read up to `limit` rows with keys strictly between `after` and `before`, sorted."""
        terms = [
            f"PartitionKey eq {_quoted(partition)}",
            f"RowKey gt {_quoted(after)}",
            f"RowKey lt {_quoted(before)}",
            *(f"{name} eq {_quoted(value)}" for name, value in (where or {}).items()),
        ]
        answered = Answered()
        entities = self._table(table).query_entities(
            " and ".join(terms),
            results_per_page=min(limit, _PAGE),
            select=_select(only),
            raw_response_hook=answered,
        )
        rows: list[Row] = []
        pages = cast("AsyncPageIterator[TableEntity]", entities.by_page())
        with translated(f"table {table}"):
            while (page := await patiently(anext(pages, None))) is not None:
                async for entity in page:
                    rows.append(_row(entity["RowKey"], entity, answered))
                    if len(rows) == limit:
                        return rows
        return rows

    @soon
    async def page(
        self,
        table: str,
        *,
        first: str,
        before: str,
        position: str,
        limit: int,
        only: Sequence[str] | None = None,
    ) -> RowsPage:
        """Read up to `limit` rows of the partitions from `first` on, before `before`.

        Azure gives less than it was asked for, or nothing, where that takes five seconds or is
        kept by two servers.
        """
        answered = Answered()
        entities = self._table(table).query_entities(
            f"PartitionKey ge {_quoted(first)} and PartitionKey lt {_quoted(before)}",
            results_per_page=min(limit, _PAGE),
            select=_select(only, "PartitionKey"),
            raw_response_hook=answered,
        )
        # The SDK's types say that a position is a text, and leave out where the next page has it.
        begin = orjson.loads(position) if position else None
        pages = cast("AsyncPageIterator[TableEntity]", entities.by_page(begin))
        with translated(f"table {table}"):
            rows = [
                (entity["PartitionKey"], _row(entity["RowKey"], entity, answered))
                async for entity in await anext(pages)
            ]
        token = pages.continuation_token
        return RowsPage(rows, orjson.dumps(token).decode() if token else "")

    @soon
    async def commit(self, table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        """Make all changes, or none."""
        if not changes:
            return []
        if len(changes) > MOST_CHANGES:
            raise ValueError(f"a transaction takes {MOST_CHANGES} changes, not {len(changes)}")
        operations = [_operation(partition, change) for change in changes]
        with translated(*(f"row {change.key} of {table}" for change in changes)):
            answers = await _submit(self._table(table), operations)
        return [str(answer.get("etag") or "") for answer in answers]

    def _table(self, name: str) -> TableClient:
        client = self._clients.get(name)
        if client is None:
            client = self._clients[name] = self._account.tables.get_table_client(name)
        return client


async def _submit(client: TableClient, operations: list[_Operation]) -> Sequence[Mapping[str, Any]]:
    """Send one plain call where one change allows it, at a third of a transaction's cost.

    A deletion is always sent as a transaction: the SDK's plain one is silent about a missing row.
    """
    name, entity, options = operations[0]
    if len(operations) > 1 or name == "delete":
        return await client.submit_transaction(operations, retry_on_methods=_REPEATED)
    options = {**options, "retry_on_methods": _REPEATED}
    if name == "create":
        return [await client.create_entity(entity, **options)]
    if name == "update":
        return [await client.update_entity(entity, **options)]
    return [await client.upsert_entity(entity, **options)]


def _operation(partition: str, change: Change) -> _Operation:
    entity: _Entity = {"PartitionKey": partition, "RowKey": change.key}
    if isinstance(change, Delete):
        return "delete", entity, _condition(change.etag)
    entity |= {name: _encoded(value) for name, value in change.values.items()}
    if isinstance(change, Insert):
        return "create", entity, {"response_preference": "return-no-content"}
    if isinstance(change, Update):
        return "update", entity, {"mode": UpdateMode.MERGE, **_condition(change.etag)}
    mode = UpdateMode.REPLACE if isinstance(change, Put) else UpdateMode.MERGE
    return "upsert", entity, {"mode": mode}


def _condition(etag: str) -> dict[str, Any]:
    """Hold the row to an ETag; without one the SDK sends `If-Match: *`, which wants a row."""
    if etag == ANY:
        return {}
    return {"etag": etag, "match_condition": MatchConditions.IfNotModified}


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _select(only: Sequence[str] | None, *more: str) -> list[str] | None:
    # Azure promises an ETag with full metadata alone: failing that, the SDK makes it of the
    # Timestamp. The emulator always sends it.
    return None if only is None else ["RowKey", "Timestamp", *more, *only]


def _encoded(value: Value) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return EntityProperty(int(value), EdmType.INT64)
    return str(value) if isinstance(value, str) else value


def _decoded(value: Any) -> Value:
    if isinstance(value, EntityProperty):
        return _decoded(value.value)
    if isinstance(value, datetime):
        return datetime.combine(value.date(), value.time(), UTC)
    decoded: Value = value
    return decoded


def _row(key: str, entity: TableEntity, answered: Answered) -> Row:
    # Azure answers null for a selected value that the row has not.
    values = {
        name: _decoded(value)
        for name, value in entity.items()
        if name not in _KEYS and value is not None
    }
    written = cast("datetime", _decoded(entity.metadata["timestamp"]))
    return Row(key, values, entity.metadata["etag"] or "", answered.since(written), written)
