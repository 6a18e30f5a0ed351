"""Objects read by name: how old an answer may be, what is asked again, and what one namespace's reads cost another's."""

import asyncio
import threading
import time
from contextlib import contextmanager

import pytest

from tests import fake_api
from webhook.api import Api
from webhook.cluster.answers import Answer
from webhook.cluster.reads import Ages, Reads
from webhook.policy.facts import MissingReason

CLAIMS = "/api/v1/namespaces/team-a/persistentvolumeclaims"
VOLUMES = "/api/v1/persistentvolumes"
DATA = f"{CLAIMS}/data"
QUICK = Ages(
    settled_seconds=0.2, unsettled_seconds=0.2, absent_seconds=0.4, failed_seconds=0.2, out_of_date_seconds=1.5
)


@pytest.fixture
def server():
    with fake_api.running() as server:
        yield server


@contextmanager
def reading(server):
    api = Api.from_address(server.address)
    reads = Reads(api, lambda manifest: {"spec": manifest["spec"]}, lambda _: True, QUICK)
    try:
        yield reads
    finally:
        reads.close()
        api.close()


@pytest.fixture
def reads(server):
    with reading(server) as reads:
        yield reads


async def read(reads: Reads, path: str = DATA, namespace: str = "team-a", seconds: float = 20) -> Answer:
    return await reads.of(namespace, asyncio.get_running_loop().time() + seconds).answer(path)


def volume_name(answer: Answer) -> str | None:
    return None if answer.manifest is None else answer.manifest["spec"]["volumeName"]


def put(server, volume: str = "pv-1") -> None:
    server.put(DATA, spec={"volumeName": volume})


async def read_once(server, reads: Reads) -> None:
    """Read an object, and wait until its answer is not fresh any more."""
    put(server)
    assert await read(reads) == Answer({"spec": {"volumeName": "pv-1"}})
    await asyncio.sleep(QUICK.settled_seconds + 0.05)


@pytest.mark.parametrize("fault", ["it hangs", "it is broken", "it is overloaded"])
async def test_an_object_that_the_server_does_not_show_in_time_is_served_as_it_was_read_before(server, reads, fault):
    await read_once(server, reads)
    if fault == "it hangs":
        server.delays[CLAIMS] = 30
    else:
        server.refusals[CLAIMS] = 500 if fault == "it is broken" else 429
    assert await read(reads, seconds=0.1) == Answer({"spec": {"volumeName": "pv-1"}}, out_of_date=True)
    assert reads.out_of_date_total == 1


async def test_an_object_that_was_read_too_long_ago_is_not_served(server, reads):
    before = time.monotonic()
    await read_once(server, reads)
    began = time.monotonic()
    server.refusals[CLAIMS] = 500
    last_served = read_at = time.monotonic()
    while (await read(reads)).out_of_date:
        last_served = read_at
        await asyncio.sleep(0.05)
        read_at = time.monotonic()
    assert last_served - began < QUICK.out_of_date_seconds + QUICK.failed_seconds
    assert time.monotonic() - before > QUICK.out_of_date_seconds
    assert await read(reads) == Answer(missing=MissingReason.ERROR)


async def test_as_soon_as_the_server_answers_again_the_object_is_up_to_date(server, reads):
    await read_once(server, reads)
    server.refusals[CLAIMS] = 500
    assert (await read(reads)).out_of_date
    server.refusals.clear()
    put(server, "pv-2")
    await asyncio.sleep(QUICK.failed_seconds + 0.05)
    assert await read(reads) == Answer({"spec": {"volumeName": "pv-2"}})


async def test_an_object_that_is_up_to_date_is_waited_for_until_the_deadline(server, reads):
    await read_once(server, reads)
    put(server, "pv-2")
    server.delays[CLAIMS] = 0.3
    assert volume_name(await read(reads, seconds=2.0)) == "pv-2"
    assert reads.out_of_date_total == 0


@pytest.mark.parametrize("status", [403, 404])
async def test_an_object_that_is_gone_or_may_not_be_read_any_more_is_not_served_as_it_was(server, reads, status):
    await read_once(server, reads)
    server.refusals[CLAIMS] = status
    reason = MissingReason.FORBIDDEN if status == 403 else MissingReason.NOT_FOUND
    assert await read(reads) == Answer(missing=reason)


@pytest.mark.parametrize("status", [403, 404])
async def test_an_object_that_is_absent_is_asked_for_once_and_again_when_that_is_long_ago(server, reads, status):
    server.refusals[CLAIMS] = status
    for _ in range(5):
        assert (await read(reads)).manifest is None
    assert server.count("GET") == 1
    await asyncio.sleep(QUICK.absent_seconds)
    server.refusals.clear()
    put(server)
    assert volume_name(await read(reads)) == "pv-1"


async def test_that_an_object_was_absent_is_not_served_when_the_server_does_not_answer(server, reads):
    assert await read(reads) == Answer(missing=MissingReason.NOT_FOUND)
    await asyncio.sleep(QUICK.absent_seconds + 0.05)
    server.refusals[CLAIMS] = 500
    assert await read(reads) == Answer(missing=MissingReason.ERROR)


async def test_a_read_that_failed_is_not_tried_again_at_once(server, reads):
    server.refusals[CLAIMS] = 500
    for _ in range(5):
        assert await read(reads) == Answer(missing=MissingReason.ERROR)
    assert server.count("GET") == 1


async def test_a_read_that_got_no_thread_in_time_is_no_answer_of_the_server(server, reads):
    put(server)
    server.delays[CLAIMS] = 2.2
    for number in range(40):
        reads.of("team-a", 0).begin(f"{CLAIMS}/c{number}")
    late = [await read(reads, f"{CLAIMS}/c39", seconds=2.5)]
    server.delays.clear()
    assert late == [Answer(missing=MissingReason.DEADLINE)]
    assert await read(reads, f"{CLAIMS}/c39", seconds=2.0) == Answer(missing=MissingReason.NOT_FOUND)


async def test_a_volume_that_a_crowd_of_another_namespace_waits_for_is_read_at_once(server, reads):
    server.put(f"{VOLUMES}/pv-1", spec={"volumeName": "pv-1"})
    server.delays[CLAIMS] = 30
    crowd = reads.of("team-a", 0)
    for number in range(100):
        crowd.begin(f"{CLAIMS}/c{number}")
    crowd.begin(f"{VOLUMES}/pv-1")
    assert (await read(reads, f"{VOLUMES}/pv-1", "team-a", seconds=0.5)).manifest is None
    assert volume_name(await read(reads, f"{VOLUMES}/pv-1", "team-b", seconds=20)) == "pv-1"


async def test_pods_of_one_namespace_share_a_read(server, reads):
    put(server)
    server.delays[CLAIMS] = 0.1
    answers = await asyncio.gather(*(read(reads) for _ in range(64)))
    assert [volume_name(answer) for answer in answers] == ["pv-1"] * 64
    assert server.count("GET") == 1


async def test_a_bug_reaches_every_pod_that_waits_and_the_next_read_is_made(server, reads):
    server.put(DATA, metadata={})
    for _ in range(20):
        with pytest.raises(KeyError):
            await read(reads)
    put(server)
    assert volume_name(await read(reads)) == "pv-1"


async def test_after_close_what_is_known_is_served_and_nothing_is_asked(server):
    with reading(server) as reads:
        await read_once(server, reads)
        reads_before = server.count("GET")
        reads.close()
        began = time.monotonic()
        assert volume_name(await read(reads, seconds=60)) == "pv-1"
        assert await read(reads, f"{CLAIMS}/other", seconds=60) == Answer(missing=MissingReason.DEADLINE)
        assert time.monotonic() - began < 30
        assert server.count("GET") == reads_before


async def test_closed_while_the_server_hangs_its_threads_end_within_the_time_of_a_read(server):
    server.delays["/"] = 60
    others = set(threading.enumerate())
    with reading(server) as reads:
        for number in range(100):
            reads.of("team-a", 0).begin(f"{CLAIMS}/c{number}")
        await asyncio.sleep(0.2)
        reads.close()
        closed = time.monotonic()
        while any(thread.name.startswith("read") for thread in set(threading.enumerate()) - others):
            assert time.monotonic() - closed < 30
            await asyncio.sleep(0.02)
    assert server.count("GET") == 8
