"""uvicorn's HTTP/1.1 connection with the limits that it lacks: one lifetime for each exchange, and short headers.

Law: an exchange lasts from the first byte of a request until the last byte of its answer has left, and no longer than its
lifetime, whatever the caller sends, leaves out or does not read.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from webhook.admission import Refusal
from webhook.metrics import Overload
from webhook.server.budget import Budget, Reservation, of_address

_UNREAD_POLL_SECONDS = 0.1
"""How often a connection with an unread answer is looked at; an answer that leaves at once is never polled."""
_PIECE_BYTES = 16 * 1024
"""TLS hands over up to 256 KiB at once, which the parser would make thousands of requests of before anything else can run."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much patience and memory callers get."""

    exchange_seconds: float = 5.0
    """From the first byte of a request to the last of its answer; an API server waits 3 s for the whole of it."""
    handshake_seconds: float = 5.0
    """From the TCP connection to the end of the TLS handshake; half of it again to say goodbye."""
    idle_seconds: int = 150
    """Longer than the 90 s after which an API server gives up an unused connection, so that it never meets a closed one."""
    header_bytes: int = 64 * 1024
    """Of all that is no body: the request's headers, the frames of chunks, trailers."""
    body_bytes: int = 3 * 2**20
    """What the API server itself accepts as a request; no review is bigger."""
    connections: int = 512
    """A handful of API servers keep 25 unused ones each; above this who has most loses one for each new one."""
    connections_per_address: int = 448
    """More than reviews can wait in the budget, and few enough to leave some to others; above this an address loses its own."""
    pipelined_requests: int = 8
    """Requests that wait behind another one of their connection. An API server sends none before it has its answer."""
    budget_bytes: int = 32 * 2**20
    """Bodies that arrive or wait for facts, and answers that nobody reads, all together."""


@dataclass(frozen=True, slots=True)
class Port:
    """What the connections of one port share."""

    limits: Limits
    budget: Budget
    refused: Callable[[Refusal], None]
    overloaded: Callable[[Overload], None]


class Connection(HttpToolsProtocol):
    """A connection that is closed when an exchange outlives its lifetime; one that waits for its next request is not slow."""

    def __init__(
        self, *, port: Port, host: str, wire: asyncio.Transport, lost: Callable[[], None], **uvicorn: Any
    ) -> None:
        """`host` is the caller's address, `wire` the TCP transport below TLS; `lost` is called at the end."""
        super().__init__(**uvicorn)
        self._limits = port.limits
        self._refused = port.refused
        self._overloaded = port.overloaded
        self._unread = Reservation(port.budget, of_address(host))
        self._wire = wire
        self._lost = lost
        self._arriving = False
        self._in_headers = False
        self._header_bytes = 0
        self._lifetime: asyncio.TimerHandle | None = None
        self._poll: asyncio.TimerHandle | None = None
        self.unused_since_seconds = self.loop.time()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """A new connection may wait as long as a used one: Go dials ahead and keeps what it does not need yet."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will arrive, and nothing will leave."""
        self._lost()
        self._arrived()
        self._end_lifetime()
        self._unread.release()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser piece by piece, until the connection is closed."""
        for start in range(0, len(data), _PIECE_BYTES):
            if self.transport.is_closing() or self._wire.is_closing():
                return
            self._feed(data[start : start + _PIECE_BYTES])

    def _feed(self, data: bytes) -> None:
        """Feed the parser; the exchange begins with the first byte."""
        if not self._arriving:
            self._arriving = self._in_headers = True
        self._begin_lifetime()
        self._header_bytes += len(data)
        super().data_received(data)
        if self._arriving and not self.transport.is_closing() and self._header_bytes > self._limits.header_bytes:
            self._refuse(Refusal.TOO_LARGE, "the headers are too large")

    def on_message_begin(self) -> None:
        """Also called for the second of two requests that come in one piece."""
        super().on_message_begin()
        self._arriving = self._in_headers = True

    def on_headers_complete(self) -> None:
        """Begin to answer, or wait for the answers before it; from here on the application counts what comes."""
        self._in_headers = False
        if self.answer_in_progress() and len(self.pipeline) >= self._limits.pipelined_requests:
            self._drop(Overload.PIPELINE)
        if not self._wire.is_closing():  # the parser goes on to the end of what was read
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """The application counts these bytes."""
        self._header_bytes -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is here; the answer is ours."""
        self._arrived()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Remember when the connection fell idle, and end the exchange, or wait until its answer has left."""
        self.unused_since_seconds = self.loop.time()
        super().on_response_complete()
        self._settle()

    def answer_in_progress(self) -> bool:
        """Whether a request has begun that is not answered yet."""
        return self.cycle is not None and not self.cycle.response_complete

    def is_spare(self) -> bool:
        """Whether closing this connection costs nobody an answer: nothing is being decided for it."""
        return self._arriving or not self.answer_in_progress()

    def _settle(self) -> None:
        """End the exchange when all of its answer has left; until then its bytes are charged to the caller's address."""
        if self._poll is not None:
            self._poll.cancel()
            self._poll = None
        unread_bytes = self._wire.get_write_buffer_size()
        if not unread_bytes:
            self._unread.release()
            self._end_lifetime()
            if self._arriving or self.answer_in_progress():
                self._begin_lifetime()
        elif self._unread.hold(unread_bytes):
            self._poll = self.loop.call_later(_UNREAD_POLL_SECONDS, self._settle)
        else:
            self._drop(Overload.ANSWER)

    def _begin_lifetime(self) -> None:
        if self._lifetime is None:
            self._lifetime = self.loop.call_later(self._limits.exchange_seconds, self._expire)

    def _end_lifetime(self) -> None:
        for timer in (self._lifetime, self._poll):
            if timer is not None:
                timer.cancel()
        self._lifetime = self._poll = None

    def _expire(self) -> None:
        """Close, with an answer where a request is still arriving and none has begun."""
        self._lifetime = None
        if self._arriving and not self._wire.get_write_buffer_size():
            self._refuse(Refusal.TOO_SLOW, f"the request did not arrive within {self._limits.exchange_seconds:g} s")
        else:
            self._wire.abort()

    def _drop(self, stage: Overload) -> None:
        """Close at once, and count why, once."""
        if not self._wire.is_closing():
            self._overloaded(stage)
            self._wire.abort()

    def _arrived(self) -> None:
        self._arriving = self._in_headers = False
        self._header_bytes = 0

    def _refuse(self, refusal: Refusal, line: str) -> None:
        """Answer for the application, which may be waiting for the rest of a body, and close."""
        if self.transport.is_closing():
            return
        if self._in_headers or (self.answer_in_progress() and not self.cycle.response_started):
            self._refused(refusal)
            status = refusal.status
            text = line.encode()
            self.transport.write(
                b"HTTP/1.1 %d %s\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n"
                b"connection: close\r\n\r\n%s" % (status, status.phrase.encode(), len(text), text)
            )
        if self.answer_in_progress():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()
