"""The SDK's retries of calls about blobs and queues, with our own pauses between them."""

from collections.abc import Mapping
from typing import Any

from azure.storage.blob.aio import ExponentialRetry

from shared.storage.azure.account.tries import RETRIES, pause


class Pauses(ExponentialRetry):
    """Pauses of `tries.pause`; the SDK's begin at 15 seconds."""

    def __init__(self) -> None:
        super().__init__(retry_total=RETRIES)

    def get_backoff_time(self, settings: Mapping[str, Any]) -> float:
        """Give the seconds to wait before the next try."""
        return pause(settings["count"])
