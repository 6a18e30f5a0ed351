"""The end of a server: it still answers while API servers learn that it goes, and no call is lost."""

import contextlib
import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from typing import Any

import pytest

from tests import webhook_server
from tests.webhook_server import PATIENCE_SECONDS, authority, client, eventually, post, request, response_from, review

CLIENTS = 16


@pytest.fixture
def with_certificate(tmp_path):
    leaf = authority.issue_cert("127.0.0.1")
    leaf.private_key_pem.write_to_path(tmp_path / "tls.key")
    for pem in leaf.cert_chain_pems:
        pem.write_to_path(tmp_path / "tls.crt", append=True)
    return tmp_path


class Process:
    """A server in its own process, and its log."""

    def __init__(self, directory, drain_seconds):
        self.process: Any = subprocess.Popen(
            [sys.executable, "-m", "tests.webhook_server", str(directory), str(drain_seconds)],
            stderr=subprocess.PIPE,
        )
        self.lines = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(json.loads(line))

    def logged(self, event):
        return next((line for line in self.lines if line["event"] == event), None)

    def line(self, event):
        eventually(lambda: self.logged(event))
        return self.logged(event)

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def code(self):
        return self.process.wait(PATIENCE_SECONDS)

    def close(self):
        self.process.kill()
        self.process.wait()
        self._reader.join()
        self.process.stderr.close()


@contextlib.contextmanager
def process(directory, drain_seconds):
    with contextlib.closing(Process(directory, drain_seconds)) as server:
        yield server


class Busy(threading.Thread):
    """An API server's worth of calls on one kept connection, which is dialled anew only when it was told to close."""

    def __init__(self, port, enough):
        super().__init__()
        self.port, self.enough = port, enough
        self.answers, self.closes, self.failures = 0, 0, []
        self.connection = client(port)

    def run(self):
        with contextlib.closing(self.connection):
            while not self.enough.is_set():
                self._call()

    def _call(self):
        try:
            answer = post(self.connection, review())
            if not answer.patch:
                self.failures.append("no patch")
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(repr(error))
            self.connection.close()
            return
        self.answers += 1
        if answer.headers.get("connection") == "close":
            self.closes += 1


def test_busy_callers_lose_no_call_and_every_pod_is_patched(with_certificate):
    with process(with_certificate, drain_seconds=120) as server:
        port = server.line("listening")["port"]
        enough = threading.Event()
        callers = [Busy(port, enough) for _ in range(CLIENTS)]
        for caller in callers:
            caller.start()
        try:
            eventually(lambda: all(caller.answers >= 3 for caller in callers))
            server.terminate()
            server.line("draining")
            eventually(lambda: all(caller.closes >= 3 or caller.failures for caller in callers))
        finally:
            enough.set()
            for caller in callers:
                caller.join()
        assert Counter(failure for caller in callers for failure in caller.failures) == {}
        server.terminate()
        assert server.code() == 0
        assert server.logged("ended")
        assert not [line for line in server.lines if line["level"] not in {"info", "debug"}]


def test_without_a_second_signal_the_drain_ends_by_itself(with_certificate):
    with process(with_certificate, drain_seconds=0.2) as server:
        port = server.line("listening")["port"]
        with webhook_server.connect(port):
            server.terminate()
            assert server.code() == 0


def test_sigterm_before_there_is_a_certificate_ends_at_once(tmp_path):
    with process(tmp_path, drain_seconds=120) as server:
        server.line("waiting for the serving certificate")
        server.terminate()
        assert server.code() == 0


def test_an_interrupt_from_a_terminal_is_obeyed_the_same_way(with_certificate):
    with process(with_certificate, drain_seconds=0) as server:
        server.line("listening")
        server.process.send_signal(signal.SIGINT)
        assert server.code() == 0


def test_draining_readyz_fails_and_calls_are_answered_with_connection_close():
    with webhook_server.running(drain_seconds=120) as server, contextlib.closing(client(server.port)) as connection:
        assert "connection" not in post(connection, review()).headers
        assert server.get("/readyz").status == 200
        server.stop()
        eventually(lambda: server.get("/readyz").status == 503)
        assert server.get("/readyz").body == b"shutting down\n"
        assert server.get("/healthz").status == 200
        time.sleep(1.2)  # the server's headers are made anew each second
        answer = post(connection, review())
        assert answer.patch
        assert answer.headers["connection"] == "close"
        assert connection.sock is None
        assert server.post(review()).headers["connection"] == "close"


def test_a_call_that_is_half_way_when_the_drain_begins_is_answered_and_closed():
    with webhook_server.running(drain_seconds=120) as server, server.connect() as connection:
        whole = request(review())
        connection.sendall(whole[:-10])
        server.stop()
        eventually(lambda: server.get("/readyz").status == 503)
        connection.sendall(whole[-10:])
        answer = response_from(connection)
        assert answer.patch
        assert answer.headers["connection"] == "close"


def test_a_call_that_is_half_way_at_the_end_of_the_drain_is_answered():
    with webhook_server.running(drain_seconds=0) as server, server.connect() as connection:
        whole = request(review())
        connection.sendall(whole[:-10])
        time.sleep(0.2)
        server.stop()
        time.sleep(0.2)
        connection.sendall(whole[-10:])
        assert response_from(connection).patch


def test_readyz_names_what_is_missing_one_a_line():
    server = webhook_server.Running(lacks=["no list of Namespaces yet", "no list of StorageClasses yet"])
    server.thread.start()
    try:
        eventually(lambda: server.health_port)
        missing = [b"the serving certificate is not there yet", *(line.encode() for line in server.lacks)]
        answer = server.get("/readyz")
        assert (answer.status, answer.body.splitlines()) == (503, missing)
        assert server.get("/healthz").status == 200
        webhook_server.use(server.certificate, authority.issue_cert("127.0.0.1"))
        eventually(server.server.listening.is_set)
        assert server.get("/readyz").body.splitlines() == missing[1:]
        server.lacks.clear()
        assert (server.get("/readyz").status, server.get("/readyz").body) == (200, b"ok\n")
    finally:
        server.stop()
        server.thread.join(PATIENCE_SECONDS)


def test_a_certificate_that_comes_after_the_end_harms_nobody():
    server = webhook_server.Running()
    server.thread.start()
    eventually(lambda: server.health_port)
    server.stop()
    server.thread.join(PATIENCE_SECONDS)
    webhook_server.use(server.certificate, authority.issue_cert("127.0.0.1"))
    assert server.certificate.present
