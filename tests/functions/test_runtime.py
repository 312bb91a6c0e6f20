"""The mends of the worker: both sides meet or part, and nothing of a request stays."""

import asyncio
import importlib
import logging
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from azure_functions_runtime.http_v2 import HttpCoordinator, http_coordinator
from starlette.exceptions import HTTPException

from functions import runtime
from tests.support.app import Site, indexed

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "MEETING_SECONDS", 0.05)


@pytest.fixture
def coordinator() -> Any:
    """A coordinator of the test's own, mended as the worker's is."""
    assert type(http_coordinator).__name__ == "Coordinator"
    made = object.__new__(type(http_coordinator))
    made._context_references = {}
    return made


async def test_request_and_answer_pass_and_are_forgotten(coordinator: Any) -> None:
    coordinator.set_http_request("1", "request")
    waiting = asyncio.create_task(coordinator.await_http_response_async("1"))
    assert await coordinator.get_http_request_async("1") == "request"
    coordinator.set_http_response("1", "answer")
    assert await waiting == "answer"
    assert coordinator._context_references == {}


async def test_an_invocation_that_came_first_gets_its_request(coordinator: Any) -> None:
    waiting = asyncio.create_task(coordinator.get_http_request_async("1"))
    await asyncio.sleep(0)
    coordinator.set_http_request("1", "request")
    assert await waiting == "request"


async def test_a_function_may_take_longer_than_the_meeting(hurried: None, coordinator: Any) -> None:
    coordinator.set_http_request("1", "request")
    waiting = asyncio.create_task(coordinator.await_http_response_async("1"))
    await coordinator.get_http_request_async("1")
    await asyncio.sleep(0.2)
    coordinator.set_http_response("1", "answer")
    assert await waiting == "answer"


async def test_an_invocation_without_a_request_ends(hurried: None) -> None:
    worker, functions = indexed()
    function = next(each for each in functions if each.name == "base_get")
    with pytest.raises(Exception, match="RequestMissing: no request came for this invocation"):
        await worker.forwarded(function, {}, "alone")
    assert "alone" not in http_coordinator._context_references


async def test_a_request_without_an_invocation_is_answered(hurried: None, coordinator: Any) -> None:
    coordinator.set_http_request("its own", "request")
    answer = await coordinator.await_http_response_async("its own")
    assert answer.status_code == 503
    assert coordinator._context_references == {}


async def test_a_second_request_under_an_id_gets_no_answer(coordinator: Any) -> None:
    coordinator.set_http_request("1", "request")
    with pytest.raises(HTTPException, match="409"):
        coordinator.set_http_request("1", "another")
    waiting = asyncio.create_task(coordinator.await_http_response_async("1"))
    assert await coordinator.get_http_request_async("1") == "request"
    with pytest.raises(HTTPException, match="409"):
        coordinator.set_http_request("1", "another")
    coordinator.set_http_response("1", "answer")
    assert await waiting == "answer"


async def test_a_failure_of_the_function_is_handed_on(coordinator: Any) -> None:
    coordinator.set_http_request("1", "request")
    waiting = asyncio.create_task(coordinator.await_http_response_async("1"))
    await coordinator.get_http_request_async("1")
    coordinator.set_http_response("1", error := ValueError("of the function"))
    assert await waiting is error
    assert coordinator._context_references == {}


async def test_nothing_of_a_served_request_is_kept(site: Site) -> None:
    assert (await site.call("GET", "/v2/")).status_code == 200
    assert http_coordinator._context_references == {}


def test_the_access_log_stays_silent_when_uvicorn_configures_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runtime.mend()
    uvicorn = importlib.import_module("uvicorn")
    uvicorn.Config(app=None)
    logger = logging.getLogger("uvicorn.access")
    logger.addHandler(caplog.handler)
    try:
        logger.info('%s - "%s %s HTTP/%s" %d', "127.0.0.1", "GET", "/v2/?_state=secret", "1.1", 200)
    finally:
        logger.removeHandler(caplog.handler)
    assert not caplog.records


@pytest.mark.parametrize("version", ["1.3.1", None])
def test_another_version_is_left_alone(version: str | None, monkeypatch: Any) -> None:
    fresh = SimpleNamespace(HttpCoordinator=HttpCoordinator, http_coordinator=SimpleNamespace())
    monkeypatch.setitem(sys.modules, "azure_functions_runtime.http_v2", fresh)
    module = SimpleNamespace(VERSION=version) if version else None
    monkeypatch.setitem(sys.modules, "azure_functions_runtime.version", module)
    runtime.mend()
    assert type(fresh.http_coordinator) is SimpleNamespace
