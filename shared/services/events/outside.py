"""Telling: an event as those outside hear of it, who know one clock alone, and requests.

Hosts' clocks differ. So what an event tells as its time is when storage wrote its row: of two
changes of one tag the second saw the first, and storage gave it the later time, whichever hosts
made them, and also where the tag was deleted in between. The row is changed when it is handed on:
what is told of it is told before, and the same however often.

What the registry did by itself, or an operator had done, came with no request: it is told of as if
it had.
"""

from dataclasses import replace

from shared.events import Event, ManifestPushed, read
from shared.storage import keys
from shared.storage.ports import Row


def told(row: Row, login_server: str) -> Event:
    """Give the event of a row of the outbox that is not yet handed on.

    `login_server` stands for a host where none was asked.
    """
    event = read(row.values)
    cause = replace(
        event.cause,
        request_id=event.cause.request_id or keys.last_part(row.key).partition("-")[2],
        host=event.cause.host or login_server,
        method=event.cause.method or ("PUT" if isinstance(event, ManifestPushed) else "DELETE"),
    )
    return replace(event, cause=cause, at=row.written)
