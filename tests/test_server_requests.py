"""HTTP as callers and attackers speak it, on both ports."""

import http.client
import json
import socket
import time

import pytest

from tests import webhook_server
from tests.webhook_server import has_ended, request, response_from, review
from webhook.admission import Refusal
from webhook.server import Addresses
from webhook.server.connection import Limits

LARGEST_BYTES = Limits().body_bytes


@pytest.fixture(scope="module")
def server():
    with webhook_server.running() as server:
        yield server


@pytest.fixture(scope="module")
def review_bytes():
    return request(review())


def status(server, method, path, port=None):
    connection = webhook_server.client(server.port) if port is None else http.client.HTTPConnection("127.0.0.1", port)
    connection.request(method, path)
    answer = webhook_server.answered(connection)
    connection.close()
    return answer.status


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_only_post_goes_to_mutate(server, method):
    assert status(server, method, "/mutate") == 405


@pytest.mark.parametrize(
    "path", ["/", "/metrics", "/healthz", "/readyz", "/mutate/", "//mutate", "/docs", "/openapi.json"]
)
def test_the_webhook_s_port_knows_mutate_and_nothing_else(server, path):
    assert status(server, "GET", path) == 404


@pytest.mark.parametrize("path", ["/", "/mutate", "/docs", "/openapi.json", "/healthz/"])
def test_the_health_port_does_not_know_mutate(server, path):
    assert status(server, "POST", path, server.health_port) == 404


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_the_health_port_answers_probes_and_scrapes(server, path):
    assert status(server, "GET", path, server.health_port) == 200


def test_the_health_port_may_listen_on_loopback_alone():
    addresses = Addresses("0.0.0.0", 0, 0, health_host="127.0.0.1")
    with webhook_server.running(addresses=addresses) as server:
        assert server.get("/readyz").status == 200
        socket.create_connection(("127.0.0.2", server.port), 5).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", server.health_port), 5)


def test_a_body_of_exactly_3_mib_is_read(server):
    of = json.dumps(review()).encode()
    assert server.post(of + b" " * (LARGEST_BYTES - len(of))).patch


def test_a_larger_body_is_a_413_by_its_length(server):
    before = server.value("gracekeeper_refused_total", reason=Refusal.TOO_LARGE)
    answer = server.post(b" " * (LARGEST_BYTES + 1))
    assert answer.status == 413
    assert answer.headers["connection"] == "close"
    assert server.value("gracekeeper_refused_total", reason=Refusal.TOO_LARGE) == before + 1


def test_a_larger_body_is_a_413_in_chunks(server):
    connection = webhook_server.client(server.port)
    connection.request("POST", "/mutate", (b" " * 65536 for _ in range(50)), encode_chunked=True)
    assert webhook_server.answered(connection).status == 413
    connection.close()


def test_a_review_in_chunks_is_read(server):
    connection = webhook_server.client(server.port)
    of = json.dumps(review()).encode()
    connection.request("POST", "/mutate", (of[i : i + 100] for i in range(0, len(of), 100)), encode_chunked=True)
    assert webhook_server.answered(connection).patch
    connection.close()


def test_pipelined_requests_are_answered_in_their_order(server):
    with server.connect() as connection:
        connection.sendall(b"".join(request(review(uid=f"{number}")) for number in range(5)))
        reader = Replies(connection)
        assert [reader.next().response["uid"] for _ in range(5)] == ["0", "1", "2", "3", "4"]


def test_http_1_0_is_answered_and_closed(server):
    with server.connect() as connection:
        connection.sendall(request(review(), version="1.0"))
        assert response_from(connection).patch
        assert has_ended(connection)


def test_expect_100_continue_is_told_to_go_on(server):
    head, _, body = request(review(), "Expect: 100-continue").partition(b"\r\n\r\n")
    with server.connect() as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert response_from(connection).patch


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x00\x05hello\r\n\r\n",
        b"POST /mut\xc3\xa4te HTTP/1.1\r\n\r\n",
        b"POST http://[::1 HTTP/1.1\r\n\r\n",
        b"POST /mutate HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /mutate HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /mutate HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_what_is_no_http_is_a_4xx_and_the_end(server, sent):
    with server.connect() as connection:
        connection.sendall(sent)
        assert 400 <= response_from(connection).status < 500


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
def test_an_upgrade_is_not_taken_up(server, protocol):
    with server.connect() as connection:
        connection.sendall(request(b"", "Connection: Upgrade", f"Upgrade: {protocol}"))
        assert response_from(connection).status == 400
    assert server.post(review()).patch


@pytest.mark.parametrize(
    "timeout", ["9" * 50_000, "1." * 25_000, "&" * 50_000, "%", "1s%00", "3s&timeout=9", "1%C2%B5s", "x" * 50_000]
)
def test_no_query_holds_the_server_up_or_harms_the_answer(server, timeout):
    began = time.monotonic()
    assert server.post(review(), f"/mutate?timeout={timeout}").patch
    assert time.monotonic() - began < 10


class Replies:
    """Responses read one after the other from one connection; http.client reads ahead."""

    def __init__(self, connection):
        self._file = connection.makefile("rb")

    def next(self):
        status = int(self._file.readline().split()[1])
        headers = dict(http.client.parse_headers(self._file))
        return webhook_server.Answered(status, headers, self._file.read(int(headers["content-length"])))
