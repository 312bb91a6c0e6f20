"""What the host is told: host.json, local.settings.json and the environment."""

import hashlib
import json
import logging
import os
import re
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from infra.devhost.triggers.ncrontab import ScheduleError, timespan

ENVIRONMENT = os.environ  # noqa: TID251 - a host hands its app the settings in the environment
STORAGE = "AzureWebJobsStorage"

_BODY_LIMIT = 104_857_600
_CORES = os.process_cpu_count() or 1
_LEVELS = {
    "Trace": logging.DEBUG,
    "Debug": logging.DEBUG,
    "Information": logging.INFO,
    "Warning": logging.WARNING,
    "Error": logging.ERROR,
    "Critical": logging.CRITICAL,
    "None": logging.CRITICAL + 1,
}
_log = logging.getLogger(__name__)


class StartError(Exception):
    """Why the host does not start, in one line."""


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """`extensions.queues` of host.json."""

    batch_size: int = 16
    new_batch_threshold: int = 8 * _CORES
    max_dequeue_count: int = 5
    visibility_timeout: timedelta = timedelta()
    max_polling_interval: timedelta = timedelta(minutes=1)
    is_base64: bool = True


@dataclass(frozen=True, slots=True)
class HostSettings:
    """The part of host.json that this host obeys."""

    route_prefix: str = "api"
    custom_headers: dict[str, str] = field(default_factory=dict)
    queues: QueueSettings = QueueSettings()
    blob_parallelism: int = 8 * _CORES
    poison_blob_threshold: int = 5
    function_timeout: timedelta | None = None
    log_levels: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, app: Path) -> Self:
        """Read host.json of the app; it has to be there, as for `func start`."""
        root = _Section(_read_json(app / "host.json"), "host.json")
        extensions = root.section("extensions")
        http, blobs = extensions.section("http"), extensions.section("blobs")
        return cls(
            route_prefix=http.value("routePrefix", "api"),
            custom_headers=http.section("customHeaders").texts(),
            queues=_queues(extensions.section("queues")),
            blob_parallelism=blobs.number("maxDegreeOfParallelism", 8 * _CORES),
            poison_blob_threshold=blobs.number("poisonBlobThreshold", 5),
            function_timeout=_function_timeout(root),
            log_levels=_log_levels(root.section("logging").section("logLevel")),
        )

    def set_log_levels(self) -> None:
        """Let this process log as host.json says."""
        for category, level in self.log_levels.items():
            logging.getLogger(None if category.lower() == "default" else category).setLevel(level)


class _Section:
    """An object of host.json, which knows its name for the complaint."""

    def __init__(self, value: Any, name: str) -> None:
        if not isinstance(value, dict):
            raise StartError(f"{name} is not a JSON object")
        self._value, self._name = value, name

    def section(self, key: str) -> "_Section":
        return _Section(self._value.get(key, {}), f"{self._name}: {key}")

    def value[T](self, key: str, default: T) -> T:
        value = self._value.get(key, default)
        if not isinstance(value, type(default)):
            raise StartError(f"{self._name}: {key} cannot be {json.dumps(value)}")
        return value

    def number(self, key: str, default: int, high: int = 1_000_000) -> int:
        value = self.value(key, default)
        if isinstance(value, bool) or not 0 <= value <= high:
            raise StartError(f"{self._name}: {key} is a number from 0 to {high}")
        return value

    def span(self, key: str, default: str) -> timedelta:
        try:
            return timespan(self.value(key, default))
        except ScheduleError as error:
            raise StartError(f"{self._name}: {key}: {error}") from error

    def texts(self) -> dict[str, str]:
        return {key: self.value(key, "") for key in self._value}


def _queues(section: _Section) -> QueueSettings:
    batch_size = section.number("batchSize", 16, high=32) or 1
    encoding = section.value("messageEncoding", "base64")
    if encoding not in {"base64", "none"}:
        raise StartError('host.json: messageEncoding is "base64" or "none"')
    return QueueSettings(
        batch_size=batch_size,
        new_batch_threshold=section.number("newBatchThreshold", batch_size * _CORES // 2),
        max_dequeue_count=section.number("maxDequeueCount", 5),
        visibility_timeout=section.span("visibilityTimeout", "00:00:00"),
        max_polling_interval=section.span("maxPollingInterval", "00:01:00"),
        is_base64=encoding == "base64",
    )


def _function_timeout(root: _Section) -> timedelta | None:
    if root.value("functionTimeout", "-1") == "-1":
        return None
    return root.span("functionTimeout", "-1")


def _log_levels(section: _Section) -> dict[str, int]:
    texts = section.texts()
    for category, level in texts.items():
        if level not in _LEVELS:
            raise StartError(f"host.json: logLevel of {category} is one of {', '.join(_LEVELS)}")
    return {category: _LEVELS[level] for category, level in texts.items()}


def apply_local_settings(app: Path) -> int | None:
    """Put local.settings.json's Values into the environment; give the port it names, if any."""
    path = app / "local.settings.json"
    if not path.exists():
        return None
    root = _Section(_read_json(path), path.name)
    if root.value("IsEncrypted", default=False):
        raise StartError("local.settings.json is encrypted: run `func settings decrypt`")
    for name, value in root.section("Values").texts().items():
        if name in ENVIRONMENT:
            _log.warning("Skipping '%s' from local settings: the environment has it already.", name)
        else:
            ENVIRONMENT[name] = value
    return root.section("Host").number("LocalHttpPort", 0, high=65535) or None


def announce(app: Path, port: int) -> None:
    """Tell the app where it runs, as `func start` does."""
    ENVIRONMENT.setdefault("AZURE_FUNCTIONS_ENVIRONMENT", "Development")
    ENVIRONMENT.setdefault("WEBSITE_HOSTNAME", f"localhost:{port}")
    ENVIRONMENT.setdefault("AzureWebJobsScriptRoot", str(app))


def body_limit() -> int:
    """Give the largest request body in bytes."""
    text = ENVIRONMENT.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", str(_BODY_LIMIT))
    if not text.isdecimal():
        raise StartError("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT is a number of bytes")
    return int(text)


def host_id(app: Path) -> str:
    """Give the name under which this app keeps its state in storage."""
    derived = "devhost-" + hashlib.sha256(str(app).encode()).hexdigest()[:12]
    return ENVIRONMENT.get("AzureFunctionsWebHost__hostid", derived)


def is_disabled(function: str) -> bool:
    """Tell whether the setting AzureWebJobs.NAME.Disabled is on."""
    return ENVIRONMENT.get(f"AzureWebJobs.{function}.Disabled", "").lower() in {"true", "1"}


def expand(text: str) -> str:
    """Replace each %SETTING% by the setting's value."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in ENVIRONMENT:
            raise StartError(f"%{found[1]}% in {text!r}: there is no such setting")
        return ENVIRONMENT[found[1]]

    return re.sub(r"%([^%]+)%", value, text)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise StartError(f"there is no {path.name} in {path.parent}") from error
    except (OSError, ValueError) as error:
        raise StartError(f"{path.name}: {error}") from error
