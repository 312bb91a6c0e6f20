"""How much memory was taken: what Azure Monitor says, and all the ways in which it does not."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.identity import CredentialUnavailableError

from infra.azure.smoke.asking import monitor
from infra.azure.smoke.asking.bodies import GIB, MIB
from infra.azure.smoke.asking.monitor import App
from infra.azure.smoke.asking.wire import Server, Wire
from infra.azure.smoke.checks.memory import room
from infra.azure.smoke.credentials import Login
from infra.azure.smoke.findings import Finding, Verdict
from infra.azure.smoke.options import Options
from infra.azure.smoke.site import Site
from tests.smoke.serving import Give, answer, serving
from tests.support.key_vault import Credential

GROUP = "/subscriptions/0f0f0f0f-0000-4000-8000-0f0f0f0f0f0f/resourceGroups/rg-one(1)/providers"
CONTAINER = f"{GROUP}/Microsoft.App/containerApps/ca-one"
FUNCTIONS = f"{GROUP}/microsoft.web/sites/func-one"
TWO_GIB = {
    CONTAINER: {"template": {"containers": [{"resources": {"memory": "2Gi"}}]}},
    FUNCTIONS: {"functionAppConfig": {"scaleAndConcurrency": {"instanceMemoryMB": 2048}}},
}

type Series = dict[str, dict[int, float]]
"""MiB of each instance, by the minute from now."""


class Azure:
    """Azure's own API: the properties of an app, and figures, each time those of the next answer.

    `refused` is what it says instead, to whatever is asked last.
    """

    def __init__(self, *answers: Series, app: str = CONTAINER) -> None:
        self.answers = list(answers)
        self.properties: Any = TWO_GIB[app]
        self.refused: Callable[[str], bytes | None] = lambda _: None
        self.heads: list[bytes] = []
        self.now = datetime.now(UTC).replace(second=0, microsecond=0)

    def __call__(self, head: bytes) -> bytes:
        self.heads.append(head)
        target = urlsplit(head.split()[1].decode())
        if refused := self.refused(target.path):
            return refused
        if not target.path.endswith("/metrics"):
            return given({"properties": self.properties})
        series = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        (name,) = parse_qs(target.query)["aggregation"]
        return given(self._metrics(series, name.lower()))

    def _metrics(self, series: Series, aggregation: str) -> Any:
        times = [
            {
                "metadatavalues": [{"name": {"value": "instance"}, "value": instance}],
                "data": [
                    {"timeStamp": self.at(-9)},  # a minute that nobody has told of
                    *(
                        {"timeStamp": self.at(minute), aggregation: float(mib * MIB)}
                        for minute, mib in minutes.items()
                    ),
                ],
            }
            for instance, minutes in series.items()
        ]
        return {"value": [{"unit": "Bytes", "timeseries": times}]}

    def at(self, minutes: int) -> str:
        return f"{self.now + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"

    @property
    def asked(self) -> dict[str, str]:
        """The query of the last question."""
        query = urlsplit(self.heads[-1].split()[1].decode()).query
        return {name: value for name, (value,) in parse_qs(query).items()}


def given(document: Any) -> bytes:
    return answer("200 OK", body=json.dumps(document).encode())


def says(status: str, at: str = "/metrics") -> Callable[[str], bytes | None]:
    body = b'{"error": {"code": "AsScripted"}}'
    return lambda path: answer(status, body=body) if path.endswith(at) else None


@pytest.fixture(autouse=True)
def credential(monkeypatch: pytest.MonkeyPatch) -> Iterator[Credential]:
    one = Credential()
    monkeypatch.setattr(monitor, "identity", lambda _: one)
    yield one
    assert one.closed == 1


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs the check against an imitation of Azure's API."""

    async def run(
        azure: Give, app: str = CONTAINER, largest: int = GIB // 2, waits: float = 1
    ) -> Finding:
        options = Options(resource=App.read(app), largest=largest, waits=waits)
        async with serving(azure) as (port, _):
            here = Server(f"127.0.0.1:{port}", is_plain=True)
            monkeypatch.setattr(monitor, "_MANAGEMENT", here)
            async with Wire(here) as wire:
                (check,) = room.checks
                return await check.run(Site(wire, Login("somebody", "password"), options))

    return run


CALM: Sequence[Series] = ({"a": {-1: 200, 0: 230, 1: 240}, "b": {0: 210}},)


async def test_of_a_container_the_highest_figures_are_asked_for(
    seen: Callable[..., Any], credential: Credential
) -> None:
    azure = Azure(*CALM)
    finding = await seen(azure)
    assert finding.verdict is Verdict.AS_PROMISED
    assert finding.seen.startswith("ca-one: 200 MiB to 240 MiB of 2 GiB (most at ")
    assert finding.seen.endswith("2 instances)")
    assert "no body is held whole" in finding.promised
    asked = azure.asked
    since, until = asked.pop("timespan").split("/")
    assert since <= azure.at(-4)
    assert until >= azure.at(1)
    assert asked == {
        "api-version": "2023-10-01",
        "metricnames": "WorkingSetBytes",
        "aggregation": "Maximum",
        "interval": "PT1M",
        "$filter": "podName eq '*'",
        "top": "1000",
    }
    assert credential.scopes == ["https://management.azure.com/.default"] * 2
    assert all(b"authorization: bearer a token" in head.lower() for head in azure.heads)


async def test_of_a_function_app_the_mean_of_each_instance_is(seen: Callable[..., Any]) -> None:
    azure = Azure({"a": {0: 300, 1: 1500}}, app=FUNCTIONS)
    finding = await seen(azure, FUNCTIONS)
    assert finding.verdict is Verdict.AS_PROMISED  # it holds bodies whole, and may grow
    assert finding.promised == "a quarter of an instance's memory is left, whatever is pushed"
    told = azure.asked
    assert (told["metricnames"], told["aggregation"]) == ("MemoryWorkingSet", "Average")
    assert told["$filter"] == "Instance eq '*'"


async def test_figures_are_waited_for(seen: Callable[..., Any]) -> None:
    finding = await seen(Azure({}, {"a": {0: 200}}, {"a": {0: 200, 1: 300}}), waits=4)
    assert finding.verdict is Verdict.AS_PROMISED
    assert "200 MiB to 300 MiB" in finding.seen


async def test_where_less_than_a_quarter_is_left_that_differs(seen: Callable[..., Any]) -> None:
    finding = await seen(Azure({"a": {1: 1600}}, app=FUNCTIONS), FUNCTIONS)
    assert finding.verdict is Verdict.DIFFERS
    assert "1600 MiB of 2 GiB" in finding.seen
    assert "less than a quarter is left" in finding.seen


@pytest.mark.parametrize(("largest", "is_whole"), [(GIB // 2, True), (GIB, False)])
async def test_a_streaming_host_that_grows_with_a_body_differs(
    seen: Callable[..., Any], largest: int, is_whole: bool
) -> None:
    finding = await seen(Azure({"a": {0: 200, 1: 500}}), largest=largest)
    assert (finding.verdict is Verdict.DIFFERS) is is_whole


async def test_a_difference_is_one_however_little_is_known(seen: Callable[..., Any]) -> None:
    assert (await seen(Azure({"a": {-1: 1700}}))).verdict is Verdict.DIFFERS


async def test_figures_that_end_too_early_check_nothing(seen: Callable[..., Any]) -> None:
    finding = await seen(Azure({"a": {-1: 200, 0: 230}}))
    assert finding.verdict is Verdict.NOT_CHECKED
    assert "200 MiB to 230 MiB" in finding.seen
    assert "what came after is not known within 1 s" in finding.seen


async def test_no_figures_check_nothing(seen: Callable[..., Any]) -> None:
    finding = await seen(Azure({}))
    assert finding.verdict is Verdict.NOT_CHECKED
    assert finding.seen == "no instance has a figure within 1 s"


@pytest.mark.parametrize(
    ("status", "at", "told"),
    [
        ("403 Forbidden", "/ca-one", "the role Reader on ca-one is needed"),
        ("403 Forbidden", "/metrics", "the role Reader on ca-one is needed"),
        ("404 Not Found", "/ca-one", "404 "),
        ("400 Bad Request", "/metrics", "AsScripted"),
        ("429 Too Many Requests", "/metrics", "429 "),
        ("503 Service Unavailable", "/metrics", "503 "),
        ("200 OK", "/ca-one", "does not tell it"),
        ("200 OK", "/metrics", "does not tell it"),
        ("302 Found", "/metrics", "302 "),
    ],
)
async def test_what_is_refused_or_cannot_be_read_checks_nothing(
    seen: Callable[..., Any], status: str, at: str, told: str
) -> None:
    azure = Azure(*CALM)
    azure.refused = says(status, at)
    finding = await seen(azure)
    assert finding.verdict is Verdict.NOT_CHECKED
    assert told in finding.seen
    assert "a token" not in finding.seen


async def test_what_is_busy_for_a_while_is_asked_again(seen: Callable[..., Any]) -> None:
    azure = Azure(*CALM)
    busy = iter([answer("503 Service Unavailable"), b""])  # then the connection ends without any
    azure.refused = lambda path: next(busy, None) if path.endswith("/metrics") else None
    assert (await seen(azure, waits=4)).verdict is Verdict.AS_PROMISED


@pytest.mark.parametrize("memory", ["2G", "", "much"])
async def test_a_size_that_nobody_knows_checks_nothing(
    seen: Callable[..., Any], memory: str
) -> None:
    azure = Azure(*CALM)
    azure.properties = {"template": {"containers": [{"resources": {"memory": memory}}]}}
    assert (await seen(azure)).verdict is Verdict.NOT_CHECKED


async def test_a_function_app_of_another_plan_checks_nothing(seen: Callable[..., Any]) -> None:
    azure = Azure(*CALM, app=FUNCTIONS)
    azure.properties = {"functionAppConfig": None}
    assert (await seen(azure, FUNCTIONS)).verdict is Verdict.NOT_CHECKED


async def test_where_nobody_is_logged_in_it_says_what_to_do(
    seen: Callable[..., Any], credential: Credential, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody(*_: object, **__: object) -> NoReturn:
        raise CredentialUnavailableError("a page of all that was tried")

    monkeypatch.setattr(credential, "get_token", nobody)
    azure = Azure(*CALM)
    finding = await seen(azure)
    assert finding.verdict is Verdict.NOT_CHECKED
    assert "az login" in finding.seen
    assert azure.heads == []
