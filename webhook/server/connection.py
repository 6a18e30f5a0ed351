"""uvicorn's HTTP/1.1 connection with the limits that it lacks: slow senders and readers, endless headers, hoarders."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from webhook.admission import Refusal


@dataclass(frozen=True, slots=True)
class Limits:
    """How much patience a connection gets."""

    request_seconds: float = 5.0
    """From the first byte of a request to the last of its body; as long again for a caller that does not read its answer."""
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


class Connection(HttpToolsProtocol):
    """A connection that is closed when a request does not arrive in time; one that waits for its next is not slow."""

    def __init__(self, *, limits: Limits, refused: Callable[[Refusal], None], **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._limits = limits
        self._refused = refused
        self._arriving = False
        self._in_headers = False
        self._header_bytes = 0
        self._patience: asyncio.TimerHandle | None = None
        self._patience_with_reader: asyncio.TimerHandle | None = None
        self._unused_since_seconds = self.loop.time()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """A new connection may wait as long as a used one: Go dials ahead and keeps what it does not need yet."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
        if len(self.connections) > self._limits.connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will arrive."""
        self._arrived()
        self.resume_writing()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; arm the timer only where a request is left incomplete, which hardly ever happens."""
        if not self._arriving:
            self._arriving = self._in_headers = True
        self._header_bytes += len(data)
        super().data_received(data)
        if not self._arriving or self.transport.is_closing():
            return
        if self._header_bytes > self._limits.header_bytes:
            self._refuse(Refusal.TOO_LARGE, "the headers are too large")
        elif self._patience is None:
            self._patience = self.loop.call_later(self._limits.request_seconds, self._lose_patience)

    def on_message_begin(self) -> None:
        """Also called for the second of two requests that come in one piece."""
        super().on_message_begin()
        self._arriving = self._in_headers = True

    def on_headers_complete(self) -> None:
        """From here on the application counts what comes."""
        self._in_headers = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """The application counts these bytes."""
        self._header_bytes -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is here; the rest is ours."""
        self._arrived()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Remember when the connection fell idle."""
        self._unused_since_seconds = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Answers pile up unread: they are memory, and whoever never reads them would keep the connection for ever."""
        super().pause_writing()
        self._patience_with_reader = self.loop.call_later(self._limits.request_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """The caller reads again."""
        if self._patience_with_reader is not None:
            self._patience_with_reader.cancel()
            self._patience_with_reader = None
        super().resume_writing()

    def answer_in_progress(self) -> bool:
        """Whether a request has begun that is not answered yet."""
        return self.cycle is not None and not self.cycle.response_complete

    def _arrived(self) -> None:
        self._arriving = self._in_headers = False
        self._header_bytes = 0
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _lose_patience(self) -> None:
        self._patience = None
        self._refuse(Refusal.TOO_SLOW, f"the request did not arrive within {self._limits.request_seconds:g} s")

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

    def _make_room(self) -> None:
        """Close one of whoever has most: what has never asked, else what has not for longest; never what is being answered.

        By address, as one that hoards must not cost an API server its few, whatever it does with its own.
        """
        others = [c for c in self.connections if isinstance(c, Connection) and c is not self and c._is_spare()]  # noqa: SLF001
        held = Counter(c._host() for c in others)  # noqa: SLF001
        if others:
            victim = min(others, key=lambda c: (-held[c._host()], c.cycle is not None, c._unused_since_seconds))  # noqa: SLF001
            victim.transport.abort()

    def _host(self) -> str:
        return self.client[0] if self.client else ""

    def _is_spare(self) -> bool:
        return self._arriving or not self.answer_in_progress()
