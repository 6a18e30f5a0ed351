"""Objects read by name, off the event loop, for the pods of one namespace at a time.

Law: a pod waits until its own deadline and no longer. What it asks for, cluster-wide objects included, is counted for
its own namespace, and no namespace's reads wait behind another's.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from webhook.api import Api, ApiError
from webhook.cluster.answers import Answer, Answers
from webhook.cluster.threads import SharedThreads
from webhook.policy.facts import MissingReason
from webhook.policy.pod.metadata import JsonObject

_THREADS = 16
_MOST_WAITING = 256
_READ_SECONDS = 2.0
"""No decision waits longer."""
_FORBIDDEN, _NOT_FOUND = 403, 404
_LATE = Answer(missing=MissingReason.DEADLINE)
"""The object was not asked for in time. That says nothing about the API server, so it is not kept."""


@dataclass(frozen=True, slots=True)
class Ages:
    """How old an answer may be, in seconds."""

    settled: float = 10.0
    """An object that changes rarely, such as a bound claim."""
    unsettled: float = 2.0
    """A claim that is not bound yet."""
    absent: float = 5.0
    """An object that does not exist or may not be read. Pods of a controller name it again and again."""
    failed: float = 2.0
    """A read that failed is not tried again for so long."""
    out_of_date: float = 600.0
    """An object that the API server does not show in time. The volume of a bound claim never changes, and its capacity
    only grows; annotations and attributes may change, so that the age has a bound."""


class Reads:
    """Reads for one event loop. Only `shorten(object)` is kept; `is_settled` tells whether it will stay as it is."""

    def __init__(
        self,
        api: Api,
        shorten: Callable[[JsonObject], JsonObject],
        is_settled: Callable[[JsonObject], bool],
        ages: Ages | None = None,
    ) -> None:
        self.out_of_date_total = 0
        """How many answers were out of date."""
        self._api = api
        self._shorten = shorten
        self._is_settled = is_settled
        self._ages = ages or Ages()
        self._answers = Answers(self._ages.out_of_date)
        self._threads: SharedThreads[Answer] = SharedThreads(_THREADS, _MOST_WAITING)
        self._running: dict[tuple[str, str], asyncio.Future[Answer]] = {}

    def of(self, namespace: str, deadline: float) -> "PodReads":
        """Return the reads for one pod of a namespace, until the deadline (the loop's time)."""
        return PodReads(self, namespace, deadline)

    def begin(self, namespace: str, path: str) -> None:
        """Start to read, unless the answer is fresh or on its way, or the namespace's share of the queue is full."""
        if (namespace, path) in self._running or self._answers.fresh(namespace, path) is not None:
            return
        read = partial(self._read, path, time.monotonic() + _READ_SECONDS)
        running = self._threads.submit(namespace, read)
        if running is not None:
            self._running[namespace, path] = running
            running.add_done_callback(partial(self._ended, namespace, path))

    async def answer(self, namespace: str, path: str, deadline: float) -> Answer:
        """Return the object at a path before the deadline, rather out of date than not at all."""
        answer = self._answers.fresh(namespace, path)
        if answer is None:
            newest = await self._newest(namespace, path, deadline)
            answer = newest if newest.is_certain else self._answers.former(namespace, path) or newest
        self.out_of_date_total += answer.out_of_date
        return answer

    def close(self) -> None:
        """Start no further read."""
        self._threads.close()

    async def _newest(self, namespace: str, path: str, deadline: float) -> Answer:
        self.begin(namespace, path)
        running = self._running.get((namespace, path))
        if running is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    return await asyncio.shield(running)
        return _LATE

    def _read(self, path: str, give_up_at: float) -> Answer:
        """Read in a thread. A read that waited too long for its thread is not made."""
        left_seconds = give_up_at - time.monotonic()
        if left_seconds <= 0:
            return _LATE
        try:
            return Answer(self._shorten(self._api.get(path, timeout_seconds=left_seconds)))
        except ApiError as error:
            return Answer(missing=_reason(error))

    def _ended(self, namespace: str, path: str, done: asyncio.Future[Answer]) -> None:
        del self._running[namespace, path]
        if done.exception() is None and done.result() is not _LATE:
            self._answers.keep(namespace, path, done.result(), self._fresh_seconds(done.result()))

    def _fresh_seconds(self, answer: Answer) -> float:
        if answer.manifest is not None:
            return self._ages.settled if self._is_settled(answer.manifest) else self._ages.unsettled
        return self._ages.absent if answer.is_certain else self._ages.failed


@dataclass(frozen=True, slots=True)
class PodReads:
    """Reads for one pod: they count for its namespace, and it waits for them until its deadline."""

    reads: Reads
    namespace: str
    deadline: float

    def begin(self, path: str) -> None:
        """Start to read, without waiting for the answer."""
        self.reads.begin(self.namespace, path)

    async def answer(self, path: str) -> Answer:
        """Return the object at a path before the deadline, rather out of date than not at all."""
        return await self.reads.answer(self.namespace, path, self.deadline)


def _reason(error: ApiError) -> MissingReason:
    if error.reason == "Timeout":
        return MissingReason.DEADLINE
    return {_FORBIDDEN: MissingReason.FORBIDDEN, _NOT_FOUND: MissingReason.NOT_FOUND}.get(
        error.status, MissingReason.ERROR
    )
