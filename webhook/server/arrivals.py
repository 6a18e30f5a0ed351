"""Connections of one port from accept on: counted before their TLS handshake, by address, and closed where they are too many.

Law: whoever has most connections loses one, so that one that hoards costs an API server none of its few.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from typing import Any

from webhook.metrics import Overload
from webhook.server.connection import Connection, Port

Connect = Callable[[str, asyncio.Transport, Callable[[], None]], Connection]
"""Address, TCP transport and what to call when the connection is lost to the connection."""


class Arrivals:
    """The connections of a port."""

    def __init__(self, port: Port) -> None:
        self._limits = port.limits
        self._overloaded = port.overloaded
        self._by_host: dict[str, dict[Arrival, None]] = {}
        self._count = 0

    def admit(self, newcomer: "Arrival") -> bool:
        """Take a new connection in, and close another one where there are too many; False where none is spare."""
        of_host = self._by_host.setdefault(newcomer.host, {})
        if len(of_host) >= self._limits.connections_per_address:
            has_room = self._make_room([of_host])
        elif self._count >= self._limits.connections:
            has_room = self._make_room(sorted(self._by_host.values(), key=len, reverse=True))
        else:
            has_room = True
        if not has_room:
            return False
        self._by_host.setdefault(newcomer.host, {})[newcomer] = None
        self._count += 1
        return True

    def leave(self, arrival: "Arrival") -> None:
        """Forget a connection, whether it is known or not."""
        of_host = self._by_host.get(arrival.host, {})
        if arrival in of_host:
            del of_host[arrival]
            self._count -= 1
        if not of_host:
            self._by_host.pop(arrival.host, None)

    async def end_handshakes(self) -> None:
        """Close all connections whose handshake has not ended."""
        arrivals = [arrival for of_host in self._by_host.values() for arrival in of_host]
        handshakes = [handshake for arrival in arrivals if (handshake := arrival.end_handshake()) is not None]
        if handshakes:
            await asyncio.wait(handshakes)

    def _make_room(self, groups: Iterable["dict[Arrival, None]"]) -> bool:
        """Close the most dispensable connection of the first address that has one."""
        self._overloaded(Overload.CONNECTION)
        for of_host in groups:
            spare = [arrival for arrival in of_host if arrival.is_spare()]
            if spare:
                victim = min(spare, key=Arrival.worth)
                self.leave(victim)
                victim.abort()
                return True
        return False


class Arrival(asyncio.Protocol):
    """One accepted connection: first its handshake, where there is a context for one, then HTTP."""

    def __init__(
        self, arrivals: Arrivals, connect: Connect, context: ssl.SSLContext | None, handshake_seconds: float
    ) -> None:
        self._arrivals = arrivals
        self._connect = connect
        self._context = context
        self._handshake_seconds = handshake_seconds
        self._began_seconds = asyncio.get_running_loop().time()
        self._connection: Connection | None = None
        self._handshake: asyncio.Task[None] | None = None
        self._early = b""
        self._wire: Any = None
        self.host = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is accepted: count it, then begin."""
        self._wire = transport
        self.host = (transport.get_extra_info("peername") or ("",))[0]
        if not self._arrivals.admit(self):
            self.abort()
        elif self._context is None:
            self._hand_over(self._wire)
        else:
            self._handshake = asyncio.get_running_loop().create_task(self._shake_hands(self._context))

    def data_received(self, data: bytes) -> None:
        """Keep what comes between accept and the first step of the handshake."""
        self._early += data

    def connection_lost(self, exc: Exception | None) -> None:
        """It was lost before HTTP began."""
        del exc
        self._leave()

    def is_spare(self) -> bool:
        """Whether closing it costs nobody an answer."""
        return self._connection is None or self._connection.is_spare()

    def worth(self) -> tuple[bool, bool, float]:
        """A sort key: handshakes come first, then what has never asked, then what has not for longest."""
        if self._connection is None:
            return False, False, self._began_seconds
        return True, self._connection.cycle is not None, self._connection.unused_since_seconds

    def abort(self) -> None:
        """Close at once."""
        self._wire.abort()

    def end_handshake(self) -> asyncio.Task[None] | None:
        """Close a connection that is no further than its handshake; the task ends soon."""
        if self._handshake is not None:
            self.abort()
        return self._handshake

    async def _shake_hands(self, context: ssl.SSLContext) -> None:
        loop, secure = asyncio.get_running_loop(), None
        if self._early:
            loop.call_soon(self._feed)
        try:
            if not self._wire.is_closing():  # start_tls would wait for ever
                secure = await loop.start_tls(
                    self._wire,
                    self,
                    context,
                    server_side=True,
                    ssl_handshake_timeout=self._handshake_seconds,
                    ssl_shutdown_timeout=self._handshake_seconds / 2,
                )
        except OSError:  # no TLS, too slow, or gone
            pass
        self._handshake = None
        if secure is None or self._wire.is_closing():
            self.abort()
            self._leave()
        else:
            self._hand_over(secure)

    def _feed(self) -> None:
        """Give the early bytes to TLS, which is the transport's protocol by now and does not read them before it starts."""
        tls = self._wire.get_protocol()
        tls.get_buffer(len(self._early))[: len(self._early)] = self._early
        tls.buffer_updated(len(self._early))
        self._early = b""

    def _hand_over(self, transport: asyncio.Transport) -> None:
        """Give the transport to HTTP."""
        self._connection = self._connect(self.host, self._wire, self._leave)
        transport.set_protocol(self._connection)
        self._connection.connection_made(transport)

    def _leave(self) -> None:
        """Be forgotten; without the reference back, TLS' buffers are freed at once and not by the garbage collector."""
        self._arrivals.leave(self)
        self._connection = None
