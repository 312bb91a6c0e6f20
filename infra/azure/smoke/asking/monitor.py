"""Azure Monitor: how much memory an app's instances took, read by the operator's own identity.

It has a figure for each minute and instance, some minutes later: of a container the highest that
was sampled, of a function app the mean. Nothing is asked but what Reader may read, and nobody but
Azure's own API.
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import httpx
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError

from infra.azure.smoke.asking.bodies import GIB, MIB
from infra.azure.smoke.asking.wire import Answer, Server, Wire
from infra.azure.smoke.findings import Differs, NotChecked, broken
from shared.storage.azure.account.account import identity

_MANAGEMENT = Server("management.azure.com")
_SCOPE = "https://management.azure.com/.default"
_METRICS = "providers/Microsoft.Insights/metrics"
_METRICS_API = "2023-10-01"
_MOST_INSTANCES = 1000
_BUSY = 429
_REFUSED = {401, 403}
_BYTES = re.compile(r"(\d+(?:\.\d+)?)(Gi|Mi)", re.ASCII)
_UNITS = {"Gi": GIB, "Mi": MIB}
_ID = re.compile(
    r"/subscriptions/[\w-]+/resourceGroups/[\w.()-]+/providers"
    r"/(microsoft\.web/sites|microsoft\.app/containerapps)/([\w-]+)",
    re.IGNORECASE,
)


class Busy(NotChecked):
    """It may be told a little later."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How the memory of a kind of app is asked for; whether it streams the bodies it is sent."""

    metric: str
    aggregation: str
    instance: str
    api: str
    size: Callable[[Any], int]
    streams: bool


@dataclass(frozen=True, slots=True)
class App:
    """An app, by its resource id."""

    id: str
    name: str
    kind: Kind

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read the id of a function app or a container app; nothing, if it is none."""
        found = _ID.fullmatch(text)
        return cls(text, found[2], _KINDS[found[1].lower()]) if found else None


@dataclass(frozen=True, slots=True)
class Figure:
    """How many bytes an instance took in a minute."""

    minute: datetime
    instance: str
    taken: int


class Monitor:
    """Asks Azure's API about one app."""

    def __init__(self, wire: Wire, credential: AsyncTokenCredential, app: App) -> None:
        self._wire = wire
        self._credential = credential
        self._app = app

    async def size(self) -> int:
        """Give the bytes that an instance has; raises NotChecked."""
        answer = await self._ask(self._app.id, {"api-version": self._app.kind.api})
        return _read(answer, lambda told: self._app.kind.size(told["properties"]))

    async def figures(self, since: datetime, until: datetime) -> list[Figure]:
        """Give what is known of this time; raises Busy, NotChecked."""
        kind = self._app.kind
        wanted = {
            "api-version": _METRICS_API,
            "metricnames": kind.metric,
            "aggregation": kind.aggregation,
            "interval": "PT1M",
            "timespan": f"{since:%Y-%m-%dT%H:%M:%SZ}/{until:%Y-%m-%dT%H:%M:%SZ}",
            "$filter": f"{kind.instance} eq '*'",
            "top": str(_MOST_INSTANCES),
        }
        answer = await self._ask(f"{self._app.id}/{_METRICS}", wanted)
        return _read(answer, lambda told: _figures(told, kind.aggregation.lower()))

    async def _ask(self, path: str, query: Mapping[str, str]) -> Answer:
        try:
            token = await self._credential.get_token(_SCOPE)
            allowed = {"Authorization": f"Bearer {token.token}"}
            answer = await self._wire.ask("GET", httpx.URL(path, params=query), allowed)
        except AzureError as error:
            raise NotChecked(
                "nobody is logged in here who may ask Azure: az login, or azd auth login"
            ) from error
        except Differs as error:
            raise NotChecked(str(error)) from error
        except (httpx.HTTPError, OSError) as error:
            raise Busy(f"{_MANAGEMENT.name}: {broken(error)}") from error
        return self._given(answer)

    def _given(self, answer: Answer) -> Answer:
        told = f"{answer.asked}: {answer.status} {answer.shown}"
        if answer.status in _REFUSED:
            raise NotChecked(f"{told}: the role Reader on {self._app.name} is needed")
        if answer.status >= httpx.codes.INTERNAL_SERVER_ERROR or answer.status == _BUSY:
            raise Busy(told)
        if answer.status != httpx.codes.OK:
            raise NotChecked(told)
        return answer


@asynccontextmanager
async def monitor(app: App) -> AsyncIterator[Monitor]:
    """Open what is asked about an app."""
    async with Wire(_MANAGEMENT) as wire, identity(None) as credential:
        yield Monitor(wire, credential, app)


def _read[T](answer: Answer, read: Callable[[Any], T]) -> T:
    try:
        return read(answer.json())
    except (Differs, LookupError, TypeError, ValueError, AttributeError) as error:
        raise NotChecked(f"{answer.asked} does not tell it: {answer.shown}") from error


def _figures(told: Any, aggregation: str) -> list[Figure]:
    return [
        Figure(
            datetime.fromisoformat(one["timeStamp"]).astimezone(UTC),
            "".join(named["value"] for named in series.get("metadatavalues", ())),
            int(one[aggregation]),
        )
        for metric in told["value"]
        for series in metric["timeseries"]
        for one in series["data"]
        if one.get(aggregation) is not None
    ]


def _of_functions(properties: Any) -> int:
    return int(properties["functionAppConfig"]["scaleAndConcurrency"]["instanceMemoryMB"]) * MIB


def _of_containers(properties: Any) -> int:
    told = [one["resources"]["memory"] for one in properties["template"]["containers"]]
    read = [_BYTES.fullmatch(one) for one in told]
    if not read or not all(read):
        raise ValueError(told)
    return sum(int(float(one[1]) * _UNITS[one[2]]) for one in read if one)


_KINDS = {
    "microsoft.web/sites": Kind(
        "MemoryWorkingSet", "Average", "Instance", "2024-11-01", _of_functions, streams=False
    ),
    "microsoft.app/containerapps": Kind(
        "WorkingSetBytes", "Maximum", "podName", "2025-07-01", _of_containers, streams=True
    ),
}
