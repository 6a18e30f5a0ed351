"""Bodies, waiting reviews and unread answers within one budget: beyond a fair share pods are allowed as they came, and counted."""

import asyncio
import contextlib
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests import webhook_server
from tests.webhook_server import (
    TRAINING_POD,
    client,
    connect,
    eventually,
    has_ended,
    post,
    request,
    response_from,
    review,
)
from webhook.admission import Refusal
from webhook.evaluation import NoFacts
from webhook.metrics import Overload
from webhook.policy.facts import Facts
from webhook.server.bodies import Head
from webhook.server.budget import Budget, Reservation
from webhook.server.connection import Limits
from webhook.server.mutation import LONGEST_DEADLINE_SECONDS
from webhook.server.reviews import REVIEW_BYTES

MEBIBYTE = 2**20
LARGEST_BYTES = Limits().body_bytes
TIGHT = Limits(exchange_seconds=1.5, budget_bytes=2 * MEBIBYTE)
"""A holder alone gets one of its two MiB."""


def slow_for(*namespaces):
    class Slow(NoFacts):
        async def facts(self, namespace, _lookups, seconds):
            if namespace in namespaces:
                await asyncio.sleep(seconds)
            return Facts()

    return Slow()


def pod_of(size_bytes):
    note = {"gracekeeper.dev/checkpoint-size": "9.2GB", "example.com/note": "x" * size_bytes}
    return {**TRAINING_POD, "metadata": {"generateName": "train-", "annotations": note}}


def overloads(server, stage):
    return server.value("gracekeeper_overloads_total", stage=stage)


def held_bytes(server):
    return server.value("gracekeeper_held_bytes")


def test_one_holder_gets_a_half_and_each_further_one_what_stays_free_is_worth():
    budget = Budget(1200)
    taken: Counter[str] = Counter()
    for holder in "aabbcc":
        while budget.take(holder, 10):
            taken[holder] += 10
    assert taken == {"a": 600, "b": 300, "c": 150}
    assert budget.held_bytes() == 1050
    assert budget.take("d", 70)
    for holder, size_bytes in [*taken.items(), ("d", 70)]:
        budget.give_back(holder, size_bytes)
    assert budget.held_bytes() == 0
    assert budget.take("d", 600)


def test_a_reservation_that_grows_too_large_holds_nothing():
    budget = Budget(100)
    with Reservation(budget, "a") as reservation:
        assert reservation.hold(50)
        assert not reservation.hold(51)
        assert budget.held_bytes() == 0
        assert reservation.pass_to("b", 20)
        assert budget.held_bytes() == 20
    assert budget.held_bytes() == 0


def test_waiting_reviews_are_fewer_than_the_connections_of_one_address():
    limits = Limits()
    assert limits.budget_bytes / REVIEW_BYTES < limits.connections_per_address < limits.connections
    assert limits.exchange_seconds > LONGEST_DEADLINE_SECONDS


@pytest.mark.parametrize("more", [b" ", b" " * MEBIBYTE])
def test_a_body_that_is_too_large_is_answered_and_its_connection_ends(more):
    limits = replace(TIGHT, exchange_seconds=60)
    with webhook_server.running(limits=limits) as server, server.connect() as connection:
        began = time.monotonic()
        connection.sendall(request(b" " * LARGEST_BYTES + more))
        answer = response_from(connection)
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert has_ended(connection)
        assert time.monotonic() - began < 30  # it is not the end of the exchange that ends it
        assert held_bytes(server) == 0


def test_a_body_that_is_too_large_and_does_not_end_is_cut_off():
    with webhook_server.running(limits=TIGHT) as server, server.connect() as connection:
        connection.sendall(request(b" " * 2 * LARGEST_BYTES)[: LARGEST_BYTES + MEBIBYTE])
        assert response_from(connection).status == 413
        assert held_bytes(server) == 0
        assert has_ended(connection)


def test_an_answer_that_takes_longer_than_an_exchange_may_is_not_waited_for():
    class Never(NoFacts):
        async def facts(self, *_):
            await asyncio.sleep(3)
            return Facts()

    limits = Limits(exchange_seconds=0.3)
    with webhook_server.running(limits=limits, source=Never()) as server, server.connect() as connection:
        connection.sendall(request(review()))
        assert has_ended(connection)
        eventually(lambda: held_bytes(server) == 0)


def test_a_body_that_nobody_asked_for_ends_in_time():
    with webhook_server.running(limits=TIGHT) as server, server.connect() as connection:
        connection.sendall(b"POST /elsewhere HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n")
        assert response_from(connection).status == 404
        with contextlib.suppress(OSError):
            for _ in range(60):
                connection.sendall(b" " * 65536)
                time.sleep(0.1)
        assert has_ended(connection)


@pytest.fixture(scope="module")
def tight():
    with webhook_server.running(limits=TIGHT) as server:
        yield server


def test_a_body_beyond_its_address_share_is_allowed_unpatched_with_a_warning_and_a_count(tight):
    before = overloads(tight, Overload.ARRIVAL)
    answer = tight.post(review(pod_of(2 * MEBIBYTE), uid="a-uid"))
    assert (answer.status, answer.response["uid"], answer.patch) == (200, "a-uid", [])
    assert "not patched" in answer.response["warnings"][0]
    assert all(len(warning) <= 120 for warning in answer.response["warnings"])
    assert overloads(tight, Overload.ARRIVAL) == before + 1
    assert tight.post(review(pod_of(MEBIBYTE // 2))).patch
    assert held_bytes(tight) == 0


def test_a_dropped_body_without_a_uid_at_its_start_is_refused(tight):
    before = tight.value("gracekeeper_refused_total", reason=Refusal.OVERLOADED)
    answer = tight.post(b" " * 2 * MEBIBYTE)
    assert answer.status == 503
    assert tight.value("gracekeeper_refused_total", reason=Refusal.OVERLOADED) == before + 1


def test_stalled_bodies_of_one_address_cost_another_address_nothing(tight):
    with contextlib.ExitStack() as stack:
        for number in range(20):
            stalled = stack.enter_context(connect(tight.port, source=f"127.0.0.{2 + number % 2}"))
            stalled.settimeout(5)
            stalled.sendall(request(review(pod_of(MEBIBYTE // 4)))[:-1])
        eventually(lambda: held_bytes(tight) > MEBIBYTE)
        for _ in range(20):
            assert tight.post(review(pod_of(65536))).patch
    eventually(lambda: held_bytes(tight) == 0)


def test_while_one_team_floods_every_pod_of_another_team_is_patched():
    """Two hundred large pods of team A wait for their claims; team B creates one pod after the other."""
    limits = Limits(budget_bytes=16 * MEBIBYTE)
    with (
        webhook_server.running(limits=limits, source=slow_for("team-a"), deadline_seconds=1) as server,
        ThreadPoolExecutor(40) as pool,
    ):
        flood = review(pod_of(MEBIBYTE), namespace="team-a")
        answers = [pool.submit(server.post, flood) for _ in range(200)]
        eventually(lambda: overloads(server, Overload.REVIEW))
        with contextlib.closing(client(server.port)) as connection:
            patched: Counter[bool] = Counter()
            while not all(answer.done() for answer in answers):
                patched[bool(post(connection, review(namespace="team-b")).patch)] += 1
        assert set(patched) == {True}
        assert patched[True] > 5
        unpatched = [answer.result() for answer in answers if not answer.result().patch]
        assert len(unpatched) == overloads(server, Overload.REVIEW) + overloads(server, Overload.ARRIVAL)
        assert 0 < len(unpatched) < 200
        assert all("not patched" in answer.response["warnings"][0] for answer in unpatched)
        assert held_bytes(server) == 0


def test_an_answer_that_nobody_reads_is_charged_and_ends_with_the_exchange(tight):
    misspelt = {f"gracekeeper.dev/checkpoint-size-{number}": "1GB" for number in range(300)}
    body = request(review({"metadata": {"annotations": misspelt}, "spec": {"containers": []}}))
    with tight.connect() as connection, ThreadPoolExecutor(1) as pool:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        pool.submit(send_until_it_ends, connection, body)
        eventually(lambda: held_bytes(tight) > 0)
        eventually(lambda: held_bytes(tight) == 0)
    assert tight.post(review()).patch


def send_until_it_ends(connection, body):
    with contextlib.suppress(OSError):
        while True:
            connection.sendall(body)


def test_reviews_are_charged_until_they_are_answered_although_their_callers_have_gone():
    enough = threading.Event()

    class Waiting(NoFacts):
        async def facts(self, *_):
            await asyncio.to_thread(enough.wait)
            return Facts()

    with webhook_server.running(source=Waiting()) as server:
        for _ in range(5):
            with server.connect() as connection:
                connection.sendall(request(review()))
                connection.unwrap()
        eventually(lambda: held_bytes(server) > 5 * REVIEW_BYTES)
        enough.set()
        eventually(lambda: held_bytes(server) == 0)


@pytest.mark.parametrize("field", ["containers", "initContainers"])
def test_a_pod_of_more_containers_than_can_run_is_allowed_unpatched(field):
    """Seven hundred thousand of them are decided on for seconds, and another team's pods would wait."""
    spec = {**TRAINING_POD["spec"], field: [{}] * 700_000}
    with webhook_server.running() as server:
        answer = server.post(review({**TRAINING_POD, "spec": spec}))
        assert answer.patch == []
        assert answer.response["warnings"] == ["gracekeeper: not patched, the pod has more than 8192 containers"]
        assert overloads(server, Overload.CONTAINERS) == 1


HEADS = {
    b'{"request":{"uid":"u-1","kind":{"kind":"Pod"},"name":"p","namespace":"n"}}': ("u-1", "n"),
    b'{"request": {"uid" : "u-1", "namespace" : "n"}}': ("u-1", "n"),
    b'{"request":{"uid":"u-1","name":"x\\",\\"namespace\\":\\"team-b","namespace":"n"}}': ("u-1", "n"),
    b'{"request":{"object":"' + b"x" * 5000 + b'","uid":"u-1"}}': ("", ""),
    b'{"request":{"uid":"a\\"b","namespace":7}}': ("", ""),
    b"": ("", ""),
}


@pytest.mark.parametrize("body", HEADS)
def test_uid_and_namespace_are_read_off_the_first_bytes(body):
    head = Head.of(body)
    assert (head.uid, head.namespace) == HEADS[body]
