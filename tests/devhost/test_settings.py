"""host.json, local.settings.json and the environment."""

import json
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.devhost import settings
from infra.devhost.settings import HostSettings, StartError, apply_local_settings


def read(folder: Path, content: Any) -> HostSettings:
    (folder / "host.json").write_text(json.dumps(content))
    return HostSettings.read(folder)


def test_defaults_are_the_real_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "_CORES", 2)
    host = read(tmp_path, {"version": "2.0"})
    assert (host.route_prefix, host.custom_headers) == ("api", {})
    assert (host.queues.batch_size, host.queues.new_batch_threshold) == (16, 16)
    assert (host.queues.max_dequeue_count, host.queues.is_base64) == (5, True)
    assert host.queues.visibility_timeout == timedelta()
    assert host.queues.max_polling_interval == timedelta(minutes=1)
    assert (host.blob_parallelism, host.poison_blob_threshold) == (16, 5)
    assert host.function_timeout is None


def test_host_json_is_obeyed(tmp_path: Path) -> None:
    content = {
        "functionTimeout": "00:05:00",
        "logging": {"logLevel": {"default": "Warning", "Function.x": "None"}},
        "extensions": {
            "http": {"routePrefix": "", "customHeaders": {"X-A": "b"}},
            "queues": {
                "batchSize": 8,
                "newBatchThreshold": 0,
                "maxDequeueCount": 3,
                "visibilityTimeout": "00:00:10",
                "maxPollingInterval": "00:00:02",
                "messageEncoding": "none",
            },
            "blobs": {"maxDegreeOfParallelism": 4, "poisonBlobThreshold": 1},
        },
    }
    host = read(tmp_path, content)
    assert (host.route_prefix, host.custom_headers) == ("", {"X-A": "b"})
    assert host.queues == settings.QueueSettings(
        batch_size=8,
        new_batch_threshold=0,
        max_dequeue_count=3,
        visibility_timeout=timedelta(seconds=10),
        max_polling_interval=timedelta(seconds=2),
        is_base64=False,
    )
    assert (host.blob_parallelism, host.poison_blob_threshold) == (4, 1)
    assert host.function_timeout == timedelta(minutes=5)
    assert host.log_levels == {"default": logging.WARNING, "Function.x": logging.CRITICAL + 1}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ([], "host.json is not a JSON object"),
        ({"extensions": 1}, "host.json: extensions is not a JSON object"),
        ({"extensions": {"http": {"routePrefix": 1}}}, "routePrefix cannot be 1"),
        ({"extensions": {"http": {"customHeaders": {"X": 1}}}}, "X cannot be 1"),
        ({"extensions": {"queues": {"batchSize": 33}}}, "batchSize is a number from 0 to 32"),
        ({"extensions": {"queues": {"batchSize": True}}}, "batchSize is a number"),
        ({"extensions": {"queues": {"maxPollingInterval": "2s"}}}, "'2s' is not a time span"),
        ({"extensions": {"queues": {"messageEncoding": "x"}}}, "messageEncoding"),
        ({"functionTimeout": "x"}, "functionTimeout: 'x' is not a time span"),
        ({"logging": {"logLevel": {"default": "Loud"}}}, "logLevel of default is one of Trace"),
    ],
)
def test_fault_in_host_json_is_named(tmp_path: Path, content: Any, complaint: str) -> None:
    with pytest.raises(StartError, match=complaint):
        read(tmp_path, content)


def test_host_json_has_to_be_there_and_to_be_json(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"there is no host\.json"):
        HostSettings.read(tmp_path)
    (tmp_path / "host.json").write_text("{")
    with pytest.raises(StartError, match=r"^host\.json: Expecting"):
        HostSettings.read(tmp_path)


def test_local_settings_yield_to_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"TAKEN": "before"}
    monkeypatch.setattr(settings, "ENVIRONMENT", environment)
    content = {"Values": {"TAKEN": "x", "NEW": "y"}, "Host": {"LocalHttpPort": 7072}}
    (tmp_path / "local.settings.json").write_text(json.dumps(content))
    assert apply_local_settings(tmp_path) == 7072
    assert environment == {"TAKEN": "before", "NEW": "y"}


def test_local_settings_may_be_missing_but_not_encrypted(tmp_path: Path) -> None:
    assert apply_local_settings(tmp_path) is None
    (tmp_path / "local.settings.json").write_text('{"IsEncrypted": true}')
    with pytest.raises(StartError, match="encrypted"):
        apply_local_settings(tmp_path)


def test_settings_are_put_in_between_percent_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "ENVIRONMENT", {"A": "x"})
    assert settings.expand("q-%A%-%A%") == "q-x-x"
    with pytest.raises(StartError, match="%B%"):
        settings.expand("%B%")


def test_functions_are_disabled_by_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "ENVIRONMENT", {"AzureWebJobs.a.Disabled": "True"})
    assert settings.is_disabled("a")
    assert not settings.is_disabled("b")


def test_body_limit_is_kestrels_unless_set(monkeypatch: pytest.MonkeyPatch) -> None:
    environment: dict[str, str] = {}
    monkeypatch.setattr(settings, "ENVIRONMENT", environment)
    assert settings.body_limit() == 104_857_600
    environment["FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"] = "10"
    assert settings.body_limit() == 10
    environment["FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"] = "10 GB"
    with pytest.raises(StartError):
        settings.body_limit()
