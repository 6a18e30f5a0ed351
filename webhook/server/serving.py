"""Both servers in one event loop, from start to the last answer: listens, drains on SIGTERM, ends."""

import asyncio
import contextlib
import gc
import resource
import signal
import socket
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import uvicorn
import uvloop
from fastapi import FastAPI

from webhook.log import Logger
from webhook.metrics import Metrics
from webhook.server.apps import health_app, webhook_app
from webhook.server.arrivals import Arrival, Arrivals
from webhook.server.budget import Budget
from webhook.server.certificate import Certificate
from webhook.server.connection import Connection, Limits, Port
from webhook.server.mutation import Mutation
from webhook.server.reviews import Reviews

_MOST_OPEN_FILES = 65536
_LAST_ANSWERS_SECONDS = 5
_SOCKET_BUFFER_BYTES = 64 * 1024
"""Of the kernel, for each direction of a connection. By itself it grows to megabytes, which count against the pod's limit,
and what TLS reads at once, as large as that, stays with the connection."""
_HEALTH_CONNECTIONS = 64
"""Kubelets dial anew for each probe; a Prometheus or two keep one."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where to listen; port 0 takes any free one."""

    host: str
    port: int
    health_port: int
    health_host: str | None = None
    """None: the same host."""


class _Listener(uvicorn.Server):
    """A uvicorn server that leaves signals to us, and whose connections have limits."""

    def __init__(self, app: FastAPI, port: Port) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="uvloop",
                http=Connection,  # on httptools
                ws="none",
                lifespan="off",
                interface="asgi3",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                log_config=None,
                timeout_keep_alive=port.limits.idle_seconds,
                timeout_graceful_shutdown=_LAST_ANSWERS_SECONDS,
            )
        )
        self._port = port
        self._arrivals = Arrivals(port)

    async def listen(self, host: str, port: int, certificate: Certificate | None) -> int:
        """Begin to listen; the result is the port. OSError where it cannot be had."""
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await self.on_tick(0)
        context = certificate.context if certificate else None
        listening = await asyncio.get_running_loop().create_server(
            lambda: Arrival(self._arrivals, self._connection, context, self._port.limits.handshake_seconds),
            host,
            port,
            backlog=self.config.backlog,
            start_serving=False,
        )
        for listening_socket in listening.sockets:  # accepted ones inherit it
            for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                listening_socket.setsockopt(socket.SOL_SOCKET, buffer, _SOCKET_BUFFER_BYTES)
        await listening.start_serving()
        self.servers = [listening]
        self.started = True
        taken: int = listening.sockets[0].getsockname()[1]
        return taken

    async def answer_until_stopped(self) -> None:
        """Answer calls until should_exit is set, then the last ones."""
        await self.main_loop()
        for listening in self.servers:
            listening.close()
        await self._arrivals.end_handshakes()
        await self.shutdown()

    def close_each_connection_after_its_answer(self) -> None:
        """Send `Connection: close` with every answer from now on, those that are being made included."""
        self.config.encoded_headers.append((b"connection", b"close"))
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        for connection in self.server_state.connections:
            if isinstance(connection, Connection) and connection.answer_in_progress():
                connection.shutdown()

    def _connection(self, host: str, wire: asyncio.Transport, lost: Callable[[], None]) -> Connection:
        return Connection(
            port=self._port,
            host=host,
            wire=wire,
            lost=lost,
            config=self.config,
            server_state=self.server_state,
            app_state={},
        )


@dataclass(slots=True)
class Server:
    """Everything that serves; `serve` runs until it is told to end."""

    addresses: Addresses
    mutation: Mutation
    certificate: Certificate
    metrics: Metrics
    logger: Logger
    lacks: Callable[[], Sequence[str]] = tuple
    """What is missing before calls can be answered well, in words; nothing means ready."""
    drain_seconds: float = 10.0
    limits: Limits = field(default_factory=Limits)
    notes: Callable[[], Sequence[str]] = tuple
    """What a ready server tells all the same: a configuration that is not in use."""
    listening: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    ports: tuple[int, int] = field(default=(0, 0), init=False)
    """The webhook's port, 0 until `listening` is set, and the health port."""
    _stopping: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _in_a_hurry: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    async def serve(self) -> None:
        """Open the health port at once, the webhook's as soon as there is a certificate; answer, drain, end."""
        budget = Budget(self.limits.budget_bytes)
        self.metrics.held(budget.held_bytes)
        reviews = Reviews(self.mutation.answer, budget, self.metrics)
        app = webhook_app(reviews, self.metrics.refused, self.limits.body_bytes)
        webhook = _Listener(app, Port(self.limits, budget, self.metrics.refused, self.metrics.overloaded))
        health = self._health_listener(budget)
        self.metrics.readiness(lambda: not self._missing())
        health_host = self.addresses.host if self.addresses.health_host is None else self.addresses.health_host
        health_port = await health.listen(health_host, self.addresses.health_port, None)
        self.ports = (0, health_port)
        answering_health = asyncio.create_task(health.answer_until_stopped())
        try:
            if await self._certificate_arrives():
                await self._serve_webhook(webhook, health_port)
        finally:
            health.should_exit = True
            await answering_health

    def _health_listener(self, budget: Budget) -> _Listener:
        """The other port, whose few callers need few connections; what it refuses is no review, and not counted."""
        app = health_app(self._missing, self.notes, self.metrics.text)
        limits = replace(self.limits, connections=_HEALTH_CONNECTIONS, connections_per_address=_HEALTH_CONNECTIONS)
        return _Listener(app, Port(limits, budget, lambda _refusal: None, self.metrics.overloaded))

    async def _serve_webhook(self, webhook: _Listener, health_port: int) -> None:
        port = await webhook.listen(self.addresses.host, self.addresses.port, self.certificate)
        self.ports = (port, health_port)
        self.listening.set()
        self.logger.info("listening", port=port, health_port=health_port)
        answering = asyncio.create_task(webhook.answer_until_stopped())
        try:
            await self._stopping.wait()
            webhook.close_each_connection_after_its_answer()
            self.logger.info("draining", seconds=self.drain_seconds)
            await _first_of(self._in_a_hurry.wait(), asyncio.sleep(self.drain_seconds))
        finally:
            webhook.should_exit = True
            await answering
        self.logger.info("ended")

    def stop(self) -> None:
        """Drain, then end; told twice, end at once. To be called in the event loop."""
        if self._stopping.is_set():
            self._in_a_hurry.set()
        self._stopping.set()

    def _missing(self) -> Sequence[str]:
        own = ["shutting down"] if self._stopping.is_set() else []
        if not self.listening.is_set():
            own.append("the serving certificate is not there yet")
        return [*own, *self.lacks()]

    async def _certificate_arrives(self) -> bool:
        """Wait for the first certificate; False where the end comes first."""
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and whoever brings certificates has not
                loop.call_soon_threadsafe(arrived.set)

        if not self.certificate.present:
            self.logger.info("waiting for the serving certificate")
        self.certificate.when_present(wake)
        await _first_of(arrived.wait(), self._stopping.wait())
        return not self._stopping.is_set()


def run(server: Server) -> None:
    """Serve in this thread until SIGTERM has been obeyed."""
    _allow_many_connections()
    gc.collect()
    gc.freeze()  # what was imported stays: a full collection then takes microseconds, not tens of milliseconds
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve_until_signalled(server))


async def _serve_until_signalled(server: Server) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, server.stop)
    await server.serve()


async def _first_of(*waits: Coroutine[Any, Any, object]) -> None:
    tasks = [asyncio.create_task(wait) for wait in waits]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


def _allow_many_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
