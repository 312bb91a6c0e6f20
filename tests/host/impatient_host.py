"""python -m tests.host.impatient_host: the host, which soon gives up waiting for storage."""

from datetime import timedelta

from infra.host import __main__ as host
from shared.storage.azure import answers
from shared.storage.layers import sharing

PATIENCE_SECONDS, WAITING_SECONDS = 3.0, 1.0


def hurry() -> None:
    """Let storage have less time."""
    answers.PATIENCE = timedelta(seconds=PATIENCE_SECONDS)
    sharing.WAITING_SECONDS = WAITING_SECONDS


if __name__ == "__main__":
    hurry()
    host.main()
