"""Threads that namespaces share: who gets one, who waits, and what is left for the next."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest

from webhook.cluster.threads import SharedThreads


async def eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "did not come true in time"
        await asyncio.sleep(0.01)


class Work:
    """Calls that run until they are let go, and the order in which they began."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.may_end = threading.Semaphore(0)
        self.ended = 0

    def call(self, name: str) -> Callable[[], str]:
        def run() -> str:
            self.begun.append(name)
            self.may_end.acquire()
            self.ended += 1
            return name

        return run

    def end(self, calls: int) -> None:
        self.may_end.release(calls)

    async def until_begun(self, calls: int) -> list[str]:
        """The calls that began, once they are so many and no more come."""
        await eventually(lambda: len(self.begun) >= calls)
        await asyncio.sleep(0.05)
        return self.begun


@pytest.fixture
def work():
    work = Work()
    yield work
    work.end(10_000)


@pytest.fixture
def threads():
    threads: SharedThreads[str] = SharedThreads(threads=16, queue_places=64)
    yield threads
    threads.close()


def submitted(threads: SharedThreads[str], work: Work, namespace: str, calls: int) -> int:
    """How many calls were taken."""
    return sum(threads.submit(namespace, work.call(namespace)) is not None for _ in range(calls))


async def test_one_namespace_alone_gets_half_of_the_threads_and_half_of_the_queue(threads, work):
    assert submitted(threads, work, "team-a", 1000) == 8 + 32
    assert await work.until_begun(8) == ["team-a"] * 8


async def test_a_namespace_that_comes_later_starts_at_once(threads, work):
    submitted(threads, work, "team-a", 1000)
    await work.until_begun(8)
    assert submitted(threads, work, "team-b", 1) == 1
    assert (await work.until_begun(9))[-1] == "team-b"


async def test_where_all_threads_are_taken_the_next_goes_to_a_namespace_that_holds_none(threads, work):
    for number in range(5):
        submitted(threads, work, f"flood-{number}", 1000)
    assert Counter(await work.until_begun(16)).most_common() == [
        ("flood-0", 8),
        ("flood-1", 4),
        ("flood-2", 2),
        ("flood-3", 1),
        ("flood-4", 1),
    ]
    assert submitted(threads, work, "team-b", 1) == 1
    work.end(1)
    assert (await work.until_begun(17))[16:] == ["team-b"]


async def test_namespaces_that_wait_take_turns_however_much_each_of_them_asks_for(work):
    threads: SharedThreads[str] = SharedThreads(threads=1, queue_places=64)
    submitted(threads, work, "team-a", 20)
    submitted(threads, work, "team-b", 3)
    submitted(threads, work, "team-c", 2)
    work.end(25)
    begun = await work.until_begun(25)
    threads.close()
    assert "".join(namespace[-1] for namespace in begun) == "a" + "abcabcab" + "a" * 16


async def test_a_call_that_ended_makes_room_for_the_next_of_its_namespace(threads, work):
    taken = submitted(threads, work, "team-a", 1000)
    work.end(taken)
    assert len(await work.until_begun(taken)) == taken
    assert submitted(threads, work, "team-a", 1000) == 8 + 32


async def test_an_exception_reaches_who_waits_and_gives_the_thread_back(threads, work):
    def broken() -> str:
        raise ValueError("broken")

    for _ in range(40):
        result = threads.submit("team-a", broken)
        assert result is not None
        with pytest.raises(ValueError, match="broken"):
            await result
    assert submitted(threads, work, "team-a", 1000) == 8 + 32


async def test_after_close_nothing_starts_although_calls_wait_and_threads_end(threads, work):
    others = set(threading.enumerate())
    submitted(threads, work, "team-a", 20)
    await work.until_begun(8)
    threads.close()
    assert submitted(threads, work, "team-b", 1) == 0
    work.end(8)
    await eventually(lambda: work.ended == 8)
    await eventually(lambda: not any(thread.name.startswith("read") for thread in set(threading.enumerate()) - others))
    assert work.begun == ["team-a"] * 8
