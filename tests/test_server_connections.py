"""Slow, greedy and silent connections: each is closed in time, and an API server's calls are answered all the while."""

import asyncio
import contextlib
import socket
import ssl
import time
from pathlib import Path

import pytest

from tests import webhook_server
from tests.webhook_server import client, eventually, has_ended, post, request, response_from, review
from webhook.admission import Refusal
from webhook.evaluation import NoFacts
from webhook.metrics import Overload
from webhook.policy.facts import Facts
from webhook.server.connection import Limits
from webhook.server.reviews import REVIEW_BYTES

IMPATIENT = Limits(exchange_seconds=0.6, handshake_seconds=0.8, connections=8)


@pytest.fixture(scope="module")
def server():
    with webhook_server.running(limits=IMPATIENT) as server:
        yield server


@pytest.fixture(scope="module")
def patient_server():
    with webhook_server.running(limits=Limits(connections=8)) as server:
        yield server


def refusals(server, refusal):
    return server.value("gracekeeper_refused_total", reason=refusal)


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    "sent",
    [b"P", b"POST /mutate HTTP/1.1\r\nHost: ", request(review())[:-1]],
    ids=["first-byte", "headers", "body"],
)
def test_a_request_that_does_not_arrive_in_time_is_a_408_and_the_end(server, sent):
    before = refusals(server, Refusal.TOO_SLOW)
    with server.connect() as connection:
        connection.sendall(sent)
        answer = response_from(connection)
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        assert has_ended(connection)
    assert refusals(server, Refusal.TOO_SLOW) == before + 1


def test_a_request_is_refused_once_even_where_it_is_too_large_and_too_slow(server):
    before = refusals(server, Refusal.TOO_LARGE), refusals(server, Refusal.TOO_SLOW)
    with server.connect() as connection:
        connection.sendall(b"POST /mutate HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n" + b" " * 3_500_000)
        answer = response_from(connection)
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert has_ended(connection)
    assert (refusals(server, Refusal.TOO_LARGE), refusals(server, Refusal.TOO_SLOW)) == (before[0] + 1, before[1])


def test_one_byte_after_the_other_wins_no_time(server):
    with server.connect() as connection, contextlib.suppress(OSError):
        for byte in request(review()):
            connection.sendall(bytes([byte]))
            time.sleep(0.005)
    assert refusals(server, Refusal.TOO_SLOW)


def test_a_second_request_gets_its_own_time():
    with webhook_server.running(limits=Limits(exchange_seconds=1.5)) as server, server.connect() as connection:
        for _ in range(3):
            connection.sendall(request(review())[:-1])
            time.sleep(0.6)
            connection.sendall(request(review())[-1:])
            assert response_from(connection).patch


def test_half_a_request_behind_a_whole_one_is_too_slow_as_well(server):
    with server.connect() as connection:
        connection.sendall(request(review()) + request(review())[:-1])
        assert response_from(connection).patch
        assert has_ended(connection)


@pytest.mark.parametrize(
    "start",
    [
        b"POST /mutate HTTP/1.1\r\n",
        b"POST /mutate HTTP/1.1\r\nA: ",
        b"POST /mutate HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        b"POST /mutate HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: ",
        b"POST /mutate HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;",
    ],
    ids=["headers", "one-header", "trailers", "one-trailer", "chunk-extension"],
)
def test_a_flood_of_what_is_no_body_is_refused(patient_server, start):
    before = refusals(patient_server, Refusal.TOO_LARGE)
    with patient_server.connect() as connection:
        connection.sendall(start)
        line = b"a: b\r\n" * 2000 if start.endswith(b"\n") else b"a" * 12_000
        with contextlib.suppress(OSError):
            for _ in range(2000):
                connection.sendall(line)
        assert refusals(patient_server, Refusal.TOO_LARGE) == before + 1


def test_a_caller_that_reads_no_answers_is_dropped(server):
    misspelt = {f"gracekeeper.dev/checkpoint-size-{number}": "1GB" for number in range(30)}
    with_long_answer = request(review({"metadata": {"annotations": misspelt}, "spec": {"containers": []}}))
    dropped = pytest.raises((ConnectionError, ssl.SSLError))  # a TimeoutError: nobody reads, and nobody is dropped
    # with a larger buffer the kernel takes in more answers before the first one waits
    with server.connect(receive_buffer_bytes=2048) as connection, dropped:
        send_for_ever(connection, with_long_answer)
    assert server.post(review()).patch


def send_for_ever(connection, content):
    """At about the pace of the answers: reading a flood costs the server more than answering it."""
    while True:
        connection.sendall(content)
        time.sleep(0.003)


class Late(NoFacts):
    """A source whose facts take longer than a review waits."""

    async def facts(self, _namespace, _lookups, seconds):
        await asyncio.sleep(seconds)
        return Facts()


def test_given_requests_behind_one_that_waits_when_they_are_few_then_all_are_answered():
    limits = Limits(pipelined_requests=3)
    with (
        webhook_server.running(limits=limits, source=Late(), deadline_seconds=0.3) as server,
        server.connect() as caller,
    ):
        caller.sendall(request(review()) * 4)
        assert all(response_from(caller).patch for _ in range(4))
        assert server.value("gracekeeper_overloads_total", stage=Overload.PIPELINE) == 0


def test_given_requests_behind_one_that_waits_when_they_are_too_many_then_the_connection_ends_and_is_counted_once():
    limits = Limits(pipelined_requests=3)
    with (
        webhook_server.running(limits=limits, source=Late(), deadline_seconds=0.3) as server,
        server.connect() as caller,
        server.connect() as other,
    ):
        caller.sendall(request(review()) * 20)
        assert has_ended(caller)
        assert server.value("gracekeeper_overloads_total", stage=Overload.PIPELINE) == 1
        other.sendall(request(review()))
        assert response_from(other).patch


@pytest.mark.parametrize("reads", [False, True], ids=["answers unread", "answers read"])
def test_given_a_caller_that_pipelines_without_end_then_its_connection_ends(patient_server, reads):
    before = patient_server.value("gracekeeper_overloads_total", stage=Overload.PIPELINE)
    with patient_server.connect() as caller:
        with contextlib.suppress(OSError):
            for _ in range(100):
                caller.sendall(b"GET / HTTP/1.1\r\n\r\n" * 1000)
                if reads:
                    caller.recv(65536)
        assert has_ended(caller)
    assert patient_server.value("gracekeeper_overloads_total", stage=Overload.PIPELINE) == before + 1
    assert patient_server.post(review()).patch


def test_tls_handshakes_that_stop_half_way_are_ended(server):
    half = [socket.create_connection(("127.0.0.1", server.port), 20) for _ in range(50)]
    for connection in half[::2]:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    assert server.post(review()).patch
    assert all(has_ended(connection) for connection in half)
    for connection in half:
        connection.close()


def silent(port, count, source="127.0.0.1"):
    return [socket.create_connection(("127.0.0.1", port), 20, (source, 0)) for _ in range(count)]


def test_connections_count_from_accept_before_their_handshake():
    limits = Limits(handshake_seconds=60, connections=8)
    with webhook_server.running(limits=limits) as server, contextlib.ExitStack() as stack:
        without_tls = [stack.enter_context(connection) for connection in silent(server.port, 50)]
        assert server.post(review()).patch
        assert all(has_ended(connection) for connection in without_tls[:42])
        assert server.value("gracekeeper_overloads_total", stage=Overload.CONNECTION) >= 42


def test_an_address_has_a_bound_of_its_own_and_loses_its_own_connections():
    limits = Limits(handshake_seconds=60, connections=20, connections_per_address=4)
    with webhook_server.running(limits=limits) as server, contextlib.ExitStack() as stack:
        kept = stack.enter_context(contextlib.closing(client(server.port)))
        assert post(kept, review()).patch
        local = kept.sock.getsockname()
        hoarded = [stack.enter_context(connection) for connection in silent(server.port, 10, "127.0.0.2")]
        assert all(has_ended(connection) for connection in hoarded[:6])
        assert post(kept, review()).patch
        assert kept.sock.getsockname() == local


def test_connections_whose_calls_are_being_answered_are_never_closed_for_another():
    limits = Limits(connections=4)
    with webhook_server.running(limits=limits, source=Late()) as server, contextlib.ExitStack() as stack:
        callers = [stack.enter_context(server.connect()) for _ in range(4)]
        for caller in callers:
            caller.sendall(request(review()))
        eventually(lambda: server.value("gracekeeper_held_bytes") > 4 * REVIEW_BYTES)
        more = [stack.enter_context(connection) for connection in silent(server.port, 4)]
        assert all(has_ended(connection) for connection in more)
        assert all(response_from(caller).patch for caller in callers)


def test_plain_http_on_the_tls_port_is_ended(server):
    with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        connection.sendall(request(review()))
        assert has_ended(connection)


def test_hundreds_of_idle_connections_do_not_keep_a_caller_out(patient_server):
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(patient_server.connect()) for _ in range(100)]
        assert patient_server.post(review()).patch
        assert all(has_ended(connection) for connection in idle[:90])


def test_a_connection_in_use_outlives_those_that_never_asked(patient_server):
    with contextlib.ExitStack() as stack:
        kept = stack.enter_context(contextlib.closing(client(patient_server.port)))
        assert post(kept, review()).patch
        for _ in range(20):
            stack.enter_context(patient_server.connect())
        assert post(kept, review()).patch


def test_who_hoards_connections_loses_its_own_even_when_it_uses_them(patient_server):
    with contextlib.ExitStack() as stack:
        kept = stack.enter_context(contextlib.closing(client(patient_server.port)))
        assert post(kept, review()).patch
        for _ in range(20):
            connection = stack.enter_context(patient_server.connect(source="127.0.0.2"))
            connection.sendall(request(review()))
            assert response_from(connection).patch
        local = kept.sock.getsockname()
        assert post(kept, review()).patch
        assert kept.sock.getsockname() == local


def test_a_connection_is_kept_for_longer_than_an_api_server_keeps_one():
    assert Limits().idle_seconds > 90
    assert Limits().exchange_seconds == 5
    assert Limits().body_bytes == 3 * 1024 * 1024


def test_an_idle_connection_ends_after_its_time_whether_it_was_used_or_not():
    with (
        webhook_server.running(limits=Limits(idle_seconds=1)) as server,
        server.connect() as used,
        server.connect() as unused,
    ):
        used.sendall(request(review()))
        assert response_from(used).patch
        assert has_ended(used)
        assert has_ended(unused)


def test_a_kept_connection_is_used_again_after_a_pause(server):
    with contextlib.closing(client(server.port)) as kept:
        assert post(kept, review()).patch
        local = kept.sock.getsockname()
        time.sleep(1.5 * IMPATIENT.exchange_seconds)
        assert post(kept, review()).patch
        assert kept.sock.getsockname() == local


def test_a_caller_that_hangs_up_leaves_nothing_behind(server):
    before = open_files()
    for sent in (b"", b"POST", request(review())[:-1], request(review())) * 5:
        with server.connect() as connection:
            connection.sendall(sent)
    eventually(lambda: open_files() <= before)
