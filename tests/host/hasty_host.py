"""python -m tests.host.hasty_host: the host, which waits for nobody, and takes few."""

from infra.host import __main__ as host
from infra.host import connections, health, pace

HEAD_SECONDS, GRACE_SECONDS, IDLE_SECONDS = 5.0, 2.0, 3.0
MOST, SPARE = 20, 5


def hurry() -> None:
    """Let clients have less time, and be fewer; believe nothing for long."""
    health._KEPT_SECONDS = 0.5
    pace.HEAD_SECONDS, pace.GRACE_SECONDS, pace.IDLE_SECONDS = (
        HEAD_SECONDS,
        GRACE_SECONDS,
        IDLE_SECONDS,
    )
    pace.TAKING_SECONDS = 1.0
    connections.MOST, connections.SPARE = MOST, SPARE


if __name__ == "__main__":
    hurry()
    host.main()
