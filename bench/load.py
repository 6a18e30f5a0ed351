"""The load: kept HTTPS connections on loopback, each sending its next request when the answer is there.

A process of its own (`python -m bench.load`, a Job as JSON on standard input, a Result on standard output), on a core
of its own. It tells its own CPU time, so that a reader sees whether it was the limit: at one CPU second a second it was.
"""

import asyncio
import os
import random
import resource
import ssl
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httptools
import orjson
import uvloop

from bench.process import cpu_seconds

HOST = "localhost"
_JITTER_SECONDS = 0.01
_LONGEST_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Job:
    """What to send, to whom, how often."""

    port: int
    server_pid: int
    authority_file: str
    body_file: str
    connections: int
    warm_up: int = 0
    requests: int = 0
    """Over all connections together, after the warm-up."""
    pauses_seconds: tuple[float, ...] = ()
    """Instead: use each connection once, and once more after each pause."""
    core: int | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured, without connecting and warming up."""

    failed: int
    """Calls that got no answer, or one that is no 200 with a patch."""
    seconds: float = 0.0
    latencies_us: list[int] = field(default_factory=list)
    server_cpu_seconds: float = 0.0
    own_cpu_seconds: float = 0.0
    failed_by_pause: list[int] = field(default_factory=list)


class Caller(asyncio.Protocol):
    """One connection; who calls is told whether the answer was good, at once where the connection is gone."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._patched = False
        self._answered: Callable[[bool], None] | None = None

    def call(self, answered: Callable[[bool], None]) -> None:
        """Send the request."""
        if self._transport is None:
            answered(False)  # noqa: FBT003  # a callback
            return
        self._answered = answered
        self._transport.write(self._request)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TLS is up."""
        self._transport = transport  # type: ignore[assignment]  # a stream

    def connection_lost(self, exc: Exception | None) -> None:
        """What was asked stays unanswered."""
        del exc
        self._transport = None
        self._tell(good=False)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, which calls the two methods below."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """A part of the answer."""
        self._patched = self._patched or b'"patch"' in body

    def on_message_complete(self) -> None:
        """The whole answer is there."""
        good = self._patched and self._parser.get_status_code() == 200
        self._patched = False
        self._tell(good=good)

    def _tell(self, *, good: bool) -> None:
        answered, self._answered = self._answered, None
        if answered is not None:
            answered(good)


class Round:
    """So many calls over so many connections, each connection busy all the time."""

    def __init__(self, callers: list[Caller], calls: int) -> None:
        self.latencies_us: list[int] = []
        self.failed = 0
        self._callers = callers
        self._left = calls
        self._running = 0
        self._done = asyncio.Event()

    async def run(self) -> None:
        """Make them all."""
        for caller in self._callers:
            self._next(caller)
        await self._done.wait()

    def _next(self, caller: Caller) -> None:
        if not self._left:
            if not self._running:
                self._done.set()
            return
        self._left -= 1
        self._running += 1
        began = time.perf_counter_ns()

        def answered(good: bool) -> None:  # noqa: FBT001  # a callback
            self._running -= 1
            self.latencies_us.append((time.perf_counter_ns() - began) // 1000)
            self.failed += not good
            self._next(caller)

        caller.call(answered)


async def measured(job: Job) -> Result:
    """Connect, warm up, then measure."""
    callers = await _callers(job)
    try:
        if job.pauses_seconds:
            return await _after_pauses(callers, job.pauses_seconds)
        await Round(callers, job.warm_up).run()
        server_before, own_before = cpu_seconds(job.server_pid), _own_cpu_seconds()
        began = time.perf_counter()
        counted = Round(callers, job.requests)
        await counted.run()
        seconds = time.perf_counter() - began
        return Result(
            counted.failed,
            seconds,
            counted.latencies_us,
            cpu_seconds(job.server_pid) - server_before,
            _own_cpu_seconds() - own_before,
        )
    finally:
        for caller in callers:
            caller.close()


async def _callers(job: Job) -> list[Caller]:
    body = await asyncio.to_thread(Path(job.body_file).read_bytes)
    head = f"POST /mutate?timeout=3s HTTP/1.1\r\nHost: {HOST}:{job.port}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    context = ssl.create_default_context(cafile=job.authority_file)
    loop = asyncio.get_running_loop()
    connected = [
        await loop.create_connection(lambda: Caller(request), "127.0.0.1", job.port, ssl=context, server_hostname=HOST)
        for _ in range(job.connections)
    ]
    return [caller for _, caller in connected]


async def _after_pauses(callers: list[Caller], pauses_seconds: tuple[float, ...]) -> Result:
    """Calls on connections that have rested: about when a server's patience with an idle connection ends, some are lost."""
    first = sum(await asyncio.gather(*(_failed(caller, 0.0) for caller in callers)))
    later = []
    for pause in pauses_seconds:
        waits = (pause + random.uniform(-_JITTER_SECONDS, _JITTER_SECONDS) for _ in callers)
        later.append(sum(await asyncio.gather(*map(_failed, callers, waits))))
    return Result(first + sum(later), failed_by_pause=later)


async def _failed(caller: Caller, wait_seconds: float) -> bool:
    await asyncio.sleep(wait_seconds)
    answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    caller.call(answer.set_result)
    return not await answer


def _own_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Do the job on standard input."""
    job = Job(**orjson.loads(sys.stdin.buffer.read()))
    if job.core is not None:
        os.sched_setaffinity(0, {job.core})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(asyncio.wait_for(measured(job), _LONGEST_SECONDS))
    sys.stdout.buffer.write(orjson.dumps(asdict(result)))


if __name__ == "__main__":
    main()
