"""The laws of the trigger layer, by the worker's own indexing."""

import runpy
from collections import Counter
from collections.abc import Sequence

import pytest

from infra.devhost.http.router import Entry, Route, Router
from infra.devhost.worker import Function
from shared.settings import SettingsInvalid
from tests.support.app import ROOT, indexed


@pytest.fixture
def functions(worker: None) -> Sequence[Function]:
    return indexed()[1]


def routed(functions: Sequence[Function]) -> list[Function]:
    return [function for function in functions if function.kind == "httpTrigger"]


def test_a_fault_in_the_settings_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_MASTER_KEY", "short")
    with pytest.raises(SettingsInvalid, match="REGISTRY_MASTER_KEY must be") as caught:
        runpy.run_path(str(ROOT / "function_app.py"))
    assert "\n" not in str(caught.value)


def test_names_are_unique(functions: Sequence[Function]) -> None:
    counts = Counter(function.name.lower() for function in functions)
    assert max(counts.values()) == 1


def test_http_functions_stream(functions: Sequence[Function]) -> None:
    assert indexed()[0].streams


def test_the_host_takes_every_route(functions: Sequence[Function]) -> None:
    entries = [
        Entry(Route(function.trigger["route"]), frozenset(function.trigger["methods"]), function)
        for function in routed(functions)
    ]
    assert Router(entries)


def test_every_route_has_its_methods_and_no_key(functions: Sequence[Function]) -> None:
    for function in routed(functions):
        assert function.trigger["methods"]
        assert function.trigger["authLevel"].lower() == "anonymous"


def test_the_fallback_sorts_last(functions: Sequence[Function]) -> None:
    under_v2 = [f.name for f in routed(functions) if f.trigger["route"].startswith("v2")]
    assert max(under_v2, key=str.upper) == "z_fallback"


def test_names_are_a_noun_and_a_verb(functions: Sequence[Function]) -> None:
    assert all("_" in function.name for function in functions)
