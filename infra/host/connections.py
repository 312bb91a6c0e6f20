"""Connections: uvicorn's own, but that slow clients are cut off and that there are only so many.

uvicorn bounds none of it: a head may take for ever and grow for ever, a body may stand still, an
answer need not be taken. It also lets the fields after a chunked body (its trailers) join the
headers; they are dropped here, or they could say what only headers may.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from infra.host.house import House
from infra.host.pace import Asking, Phase, Taking

MOST = 1_000
"""How many connections are served at once."""

SPARE = 50
"""How many more there may be: those that rest, that ask how we are, and that are told to wait."""

PROBERS = 20
"""How many there may be on a port for probes alone."""

IS_SPARE = "is_spare"
"""What the state of a request says: whether it is one too many to be served."""

WAITING = 16
"""How many requests of a connection may wait for the answer to one before them."""

_TICK_SECONDS = 1.0
_TIMEOUT = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_log = logging.getLogger(__name__)


class Connection(HttpToolsProtocol):
    """A connection that knows its client's pace."""

    def __init__(self, houses: Mapping[int, House], *args: Any, **kwargs: Any) -> None:
        """Be of one of the houses, by the port; the rest is uvicorn's."""
        super().__init__(*args, **kwargs)
        self._houses = houses

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, if there is a place."""
        super().connection_made(transport)
        self._asking, self._taking = Asking(self.loop.time()), Taking()
        _, port = self.server or ("", 0)
        self._house = self._houses[port or 0]
        if not self._house.enter(self):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End, and free the place."""
        super().connection_lost(exc)
        self._house.leave(self)

    @property
    def may_go(self) -> bool:
        """Tell whether it can be closed: nothing of an answer is still to be taken."""
        return not self.transport.is_closing() and not self.transport.get_write_buffer_size()

    def go(self) -> None:
        """Close, as another needs the place."""
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Take what came; of a head without end each further piece costs more than the last."""
        self._asking.took(len(data))
        super().data_received(data)
        if (fault := self._asking.excess()) and not self.transport.is_closing():
            self._cut_off(fault, is_abrupt=self._is_answering)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request; not inside of the answer to the one before."""
        is_of_body = self._asking.phase is Phase.BODY and not self.pipeline
        if self._is_answering and (self.cycle.response_started or not is_of_body):
            self.transport.abort()
        else:
            super().send_400_response(msg)

    def on_message_begin(self) -> None:
        """Note that a request begins; what it raises ends the connection."""
        if len(self.pipeline) >= WAITING:
            raise ValueError(f"{WAITING} requests wait already")
        super().on_message_begin()
        self._asking.enter(Phase.HEAD, self.loop.time())

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what stands behind a body is none."""
        if self._asking.phase is Phase.HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Note that the body begins, and whether it is to be served.

        After a request to speak another protocol the parser reads no more: the next would be lost.
        """
        self.scope["state"][IS_SPARE] = not self._house.work(self)
        super().on_headers_complete()
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False
        self._asking.enter(Phase.BODY, self.loop.time())

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: the request is answered as any other."""

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._asking.had_body()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that a request has come whole."""
        super().on_message_complete()
        is_answered = self.cycle.response_complete
        self._asking.enter(Phase.IDLE if is_answered else Phase.ASKED, self.loop.time())

    def on_response_complete(self) -> None:
        """Note that a request is answered; its body may still be coming."""
        super().on_response_complete()
        if not self._is_answering:
            self._house.rest(self)
        if self._asking.phase is Phase.ASKED:
            self._asking.enter(Phase.IDLE, self.loop.time())

    def pause_writing(self) -> None:
        """Note how much the client is to take."""
        super().pause_writing()
        self._taking.holds(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Note that the client took most of it."""
        super().resume_writing()
        self._taking.holds(self.transport.get_write_buffer_size())

    def tick(self, seconds: float) -> None:
        """Cut off a client that keeps us waiting; `seconds` have passed since the last look."""
        now = self.loop.time()
        if fault := self._taking.fault(self.transport.get_write_buffer_size(), now):
            self._cut_off(fault, is_abrupt=True)
        elif not self.transport.is_closing() and (fault := self._fault(now, seconds)):
            self._cut_off(fault)

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _fault(self, now: float, seconds: float) -> str:
        if self._asking.phase is Phase.BODY:
            if self.flow.read_paused or self.cycle.waiting_for_100_continue:
                return ""
            return self._asking.fault(now) or self._asking.waited(seconds)
        return "" if self._is_answering else self._asking.fault(now)

    def _cut_off(self, fault: str, *, is_abrupt: bool = False) -> None:
        phase = self._asking.phase
        if phase not in {Phase.NEW, Phase.IDLE}:
            _log.info("A client (%s) %s, and is cut off.", (self.client or ("unknown",))[0], fault)
        if is_abrupt or self.pipeline:
            self.transport.abort()
            return
        is_unanswered = phase is Phase.HEAD or not self.cycle or not self.cycle.response_started
        if is_unanswered and phase in {Phase.HEAD, Phase.BODY}:
            self.transport.write(_TIMEOUT)
        self.transport.close()


async def watch(state: ServerState, houses: Mapping[int, House]) -> None:
    """Look at all connections from time to time."""
    while True:
        await asyncio.sleep(_TICK_SECONDS)
        for connection in list(state.connections):
            if isinstance(connection, Connection):
                connection.tick(_TICK_SECONDS)
        for port, house in houses.items():
            if closed := house.closed():
                _log.info("Port %d is full: %d who asked nothing had to go.", port, closed)
