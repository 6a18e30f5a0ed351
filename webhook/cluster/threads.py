"""Threads for blocking calls, shared fairly among namespaces.

Law: a namespace takes another place, a thread or a place in the queue, only while it holds fewer places than are free.
So one namespace alone gets half of the threads. The other half stays free for the next one, because a call that runs
cannot be stopped. When all threads are taken, the next one that is free goes to a namespace that holds none.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Generic, TypeVar

_Result = TypeVar("_Result")


class _Places:
    """A number of places, and how many of them each namespace holds."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._held: Counter[str] = Counter()

    def admit(self, namespace: str) -> bool:
        """Return whether the namespace holds fewer places than are free."""
        return self._held[namespace] < self._free

    def take(self, namespace: str) -> None:
        self._free -= 1
        self._held[namespace] += 1

    def give_back(self, namespace: str) -> None:
        self._free += 1
        self._held[namespace] -= 1
        if not self._held[namespace]:
            del self._held[namespace]


class SharedThreads(Generic[_Result]):
    """Runs blocking calls for one event loop; all methods but the calls themselves belong to that loop."""

    def __init__(self, threads: int, queue_places: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="read")
        self._threads = _Places(threads)
        self._queue = _Places(queue_places)
        self._waiting: dict[str, deque[tuple[Callable[[], _Result], asyncio.Future[_Result]]]] = {}
        """By namespace, the one whose turn is next first."""
        self._closed = False

    def submit(self, namespace: str, call: Callable[[], _Result]) -> asyncio.Future[_Result] | None:
        """Return the future result of a call. None: the namespace's share of the queue is full, or no call starts any more."""
        if self._closed or not self._queue.admit(namespace):
            return None
        result: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
        self._queue.take(namespace)
        self._waiting.setdefault(namespace, deque()).append((call, result))
        self._start()
        return result

    def close(self) -> None:
        """Start no further call. Calls that run end by themselves; results that wait for a thread never come."""
        self._closed = True
        self._waiting.clear()
        self._executor.shutdown(wait=False)

    def _start(self) -> None:
        """Start waiting calls, one of each namespace in turn, as far as there are threads for them."""
        while (namespace := next(filter(self._threads.admit, self._waiting), None)) is not None:
            calls = self._waiting.pop(namespace)
            call, result = calls.popleft()
            if calls:
                self._waiting[namespace] = calls  # at the end: the others come first
            self._queue.give_back(namespace)
            self._threads.take(namespace)
            running = asyncio.get_running_loop().run_in_executor(self._executor, call)
            running.add_done_callback(partial(self._ended, namespace, result))

    def _ended(self, namespace: str, result: asyncio.Future[_Result], running: asyncio.Future[_Result]) -> None:
        error = running.exception()
        if error is None:
            result.set_result(running.result())
        else:
            result.set_exception(error)
        self._threads.give_back(namespace)
        self._start()
