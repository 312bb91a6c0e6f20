"""Hosts of a version in a world where time goes by faster, and what comes of them."""

import re
from collections.abc import Collection
from pathlib import Path

from azure.storage.queue import QueueServiceClient

from tests.support.hosts import Host
from tests.upgrades.versions import Version

_FACTOR = "60"


def scaled(version: Version, settings: dict[str, str], log: Path, only: Collection[str]) -> Host:
    """Make a host of a version with these functions alone, in a world where time goes by faster."""
    named = {*version.functions(are_jobs=True), *version.functions(are_jobs=False)} - {*only}
    off = {f"AzureWebJobs.{name}.Disabled": "true" for name in named}
    return version.host(
        {**settings, **off, "TIME_FACTOR": _FACTOR}, log, "tests.support.scaled_host"
    )


def waiting(queues: QueueServiceClient) -> dict[str, int]:
    """Count the messages of each queue of ours that is not empty, but for what sleeps long."""
    names = [queue.name for queue in queues.list_queues()]
    found = {
        name: queues.get_queue_client(name).get_queue_properties().approximate_message_count or 0
        for name in names
        if name != "later" and not name.startswith("azure-webjobs-")
    }
    return {name: count for name, count in found.items() if count}


def succeeded(host: Host) -> set[str]:
    """Name the functions that have ended well."""
    return set(re.findall(r"Executed 'Functions\.(\w+)' \(Succeeded", host.log()))


def no_failure(host: Host) -> None:
    """Fail where a function failed, or a letter is to be tried again."""
    lines = host.log().splitlines()
    assert not [line for line in lines if "(Failed" in line or " failed, try " in line]
