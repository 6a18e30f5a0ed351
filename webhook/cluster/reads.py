"""Objects read by name, off the event loop: shared by all who ask at the same time, and kept for seconds.

Law: whoever asks waits until its own deadline and no longer; a hanging API server holds a few threads, not the loop.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from webhook.api import Api, ApiError
from webhook.policy.facts import MissingReason
from webhook.policy.pod.metadata import JsonObject

_THREADS = 8
_MOST_WAITING = 256
_MOST_KEPT = 4096
_READ_SECONDS = 2.0
"""No decision waits longer."""
_SETTLED_SECONDS = 10.0
_UNSETTLED_SECONDS = 2.0
"""For what will soon be otherwise: not there yet, not bound yet, refused."""
_FORBIDDEN, _NOT_FOUND = 403, 404


@dataclass(frozen=True, slots=True)
class Answer:
    """An object, or why there is none."""

    found: JsonObject | None = None
    reason: MissingReason | None = None


_LATE = Answer(reason=MissingReason.DEADLINE)


class Reads:
    """Reads for one event loop; `kept` says what of an object to keep, `settled` whether it will stay as it is."""

    def __init__(
        self, api: Api, kept: Callable[[JsonObject], JsonObject], settled: Callable[[JsonObject], bool]
    ) -> None:
        self._api = api
        self._kept_of = kept
        self._settled = settled
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="read")
        self._kept: dict[str, tuple[float, Answer]] = {}
        self._running: dict[str, asyncio.Future[Answer]] = {}

    def begin(self, path: str) -> None:
        """Start reading, unless the answer is there or on its way."""
        if self._known(path) is not None or path in self._running or len(self._running) >= _MOST_WAITING:
            return
        give_up_at = time.monotonic() + _READ_SECONDS
        running = asyncio.get_running_loop().run_in_executor(self._pool, self._read, path, give_up_at)
        self._running[path] = running
        running.add_done_callback(lambda done: self._keep(path, done))

    async def answer(self, path: str, deadline: float) -> Answer:
        """The answer, if it comes before the deadline (the loop's time)."""
        known = self._known(path)
        if known is not None:
            return known
        self.begin(path)
        running = self._running.get(path)
        if running is None:
            return _LATE
        try:
            async with asyncio.timeout_at(deadline):
                return await asyncio.shield(running)
        except TimeoutError:
            return _LATE

    def close(self) -> None:
        """Start nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _known(self, path: str) -> Answer | None:
        until, answer = self._kept.get(path, (0.0, _LATE))
        return answer if until > time.monotonic() else None

    def _read(self, path: str, give_up_at: float) -> Answer:
        left_seconds = give_up_at - time.monotonic()
        if left_seconds <= 0:
            return _LATE
        try:
            return Answer(self._kept_of(self._api.get(path, timeout_seconds=left_seconds)))
        except ApiError as error:
            return Answer(reason=_reason(error))

    def _keep(self, path: str, done: asyncio.Future[Answer]) -> None:
        del self._running[path]
        if done.cancelled() or done.exception() is not None:
            return
        answer = done.result()
        settled = answer.found is not None and self._settled(answer.found)
        self._kept.pop(path, None)
        while len(self._kept) >= _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[path] = time.monotonic() + (_SETTLED_SECONDS if settled else _UNSETTLED_SECONDS), answer


def _reason(error: ApiError) -> MissingReason:
    if error.reason == "Timeout":
        return MissingReason.DEADLINE
    return {_FORBIDDEN: MissingReason.FORBIDDEN, _NOT_FOUND: MissingReason.NOT_FOUND}.get(
        error.status, MissingReason.ERROR
    )
