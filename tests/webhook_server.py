"""A real server on loopback with real TLS, in a thread of this process or, by `python -m tests.webhook_server`, in its own."""

import asyncio
import base64
import contextlib
import http.client
import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme
import uvloop

from webhook import log
from webhook.admission import Refusal
from webhook.evaluation import NoFacts
from webhook.metrics import Metrics
from webhook.policy.configuration import Config
from webhook.policy.facts import Facts, Lookups, Namespace
from webhook.server import Addresses, Certificate, Mutation, Server, run
from webhook.server.connection import Limits

PATIENCE_SECONDS = 60
"""How long a test waits for what must come; nothing is measured by it."""

TRAINING_POD: dict[str, Any] = {
    "metadata": {"generateName": "train-", "annotations": {"gracekeeper.dev/checkpoint-size": "9.2GB"}},
    "spec": {"containers": [{"name": "a", "env": [{"name": "TOKEN", "value": "s3cret"}]}]},
}

authority = trustme.CA()


@dataclass
class Lines:
    """A logger that keeps its lines."""

    lines: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def __getattr__(self, level: str) -> Callable[..., None]:
        return lambda event, **values: self.lines.append((level, event, values))


@dataclass
class Answered:
    """One HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def response(self) -> dict[str, Any]:
        review: dict[str, Any] = json.loads(self.body)
        assert (review["apiVersion"], review["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
        response: dict[str, Any] = review["response"]
        assert response["allowed"] is True
        return response

    @property
    def patch(self) -> list[dict[str, Any]]:
        if "patch" not in self.response:
            return []
        assert self.response["patchType"] == "JSONPatch"
        patch: list[dict[str, Any]] = json.loads(base64.b64decode(self.response["patch"], validate=True))
        return patch


@dataclass
class _Exchangeable:
    """A source of facts that knows what the running server was given."""

    running: "Running"

    async def namespace(self, name: str, _seconds: float) -> Namespace:
        return self.running.namespace or Namespace(name)

    async def facts(self, _namespace: str, _lookups: Lookups, _seconds: float) -> Facts:
        return self.running.facts


class _Delayed(NoFacts):
    """A source that knows nothing, after 2 ms."""

    async def facts(self, _namespace: str, _lookups: Lookups, _seconds: float) -> Facts:
        await asyncio.sleep(0.002)
        return Facts()


@dataclass
class Running:
    """A server that runs in a thread; facts, configuration and what is lacking can be exchanged while it runs."""

    limits: Limits = field(default_factory=Limits)
    source: Any = None
    config: Any = field(default_factory=Config)
    facts: Facts = field(default_factory=Facts)
    namespace: Namespace | None = None
    lacks: list[str] = field(default_factory=list)
    logger: Any = field(default_factory=Lines)
    drain_seconds: float = 0
    deadline_seconds: float = 2
    certificate: Certificate = field(default_factory=Certificate)
    metrics: Metrics = field(default_factory=lambda: Metrics(Refusal))
    addresses: Addresses = field(default_factory=lambda: Addresses("127.0.0.1", 0, 0))

    def __post_init__(self) -> None:
        self.server = Server(
            self.addresses,
            Mutation(
                self.source or _Exchangeable(self),
                lambda: self.config,
                self.metrics,
                self.logger,
                self.deadline_seconds,
            ),
            self.certificate,
            self.metrics,
            self.logger,
            lambda: self.lacks,
            self.drain_seconds,
            self.limits,
        )
        self.loop = uvloop.new_event_loop()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        with contextlib.closing(self.loop):
            self.loop.run_until_complete(self.server.serve())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())

    @property
    def port(self) -> int:
        return self.server.ports[0]

    @property
    def health_port(self) -> int:
        return self.server.ports[1]

    def stop(self) -> None:
        with contextlib.suppress(RuntimeError):  # it has ended already
            self.loop.call_soon_threadsafe(self.server.stop)

    def connect(self, *, source: str = "127.0.0.1", receive_buffer_bytes: int | None = None) -> ssl.SSLSocket:
        """A TLS connection to /mutate's port, to write bytes to by hand."""
        return connect(self.port, source=source, receive_buffer_bytes=receive_buffer_bytes)

    def post(self, body: bytes | dict[str, Any], path: str = "/mutate") -> Answered:
        with contextlib.closing(client(self.port)) as connection:
            return post(connection, body, path)

    def get(self, path: str) -> Answered:
        """Of the health port."""
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", self.health_port, timeout=PATIENCE_SECONDS)
        ) as connection:
            connection.request("GET", path)
            return answered(connection)

    def value(self, sample: str, **labels: str) -> float:
        """What a metric says, by its name in the text."""
        number = self.metrics._registry.get_sample_value(sample, labels)  # noqa: SLF001
        assert number is not None, sample
        return number


@contextlib.contextmanager
def running(**settings: Any) -> Iterator[Running]:
    """A server with a certificate that listens, and that has ended afterwards."""
    server = Running(**settings)
    use(server.certificate, authority.issue_cert("127.0.0.1"))
    server.thread.start()
    try:
        eventually(server.server.listening.is_set)
        yield server
    finally:
        server.stop()
        server.stop()
        server.thread.join(PATIENCE_SECONDS)
        assert not server.thread.is_alive()


def use(certificate: Certificate, leaf: trustme.LeafCert) -> None:
    certificate.use(b"".join(pem.bytes() for pem in leaf.cert_chain_pems), leaf.private_key_pem.bytes())


def trusting(*authorities: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without the system's authorities, which take 20 ms to load
    for one in authorities:
        one.configure_trust(context)
    return context


def connect(
    port: int,
    context: ssl.SSLContext | None = None,
    *,
    source: str = "127.0.0.1",
    receive_buffer_bytes: int | None = None,
) -> ssl.SSLSocket:
    plain = socket.socket()
    if receive_buffer_bytes is not None:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    plain.settimeout(PATIENCE_SECONDS)
    plain.bind((source, 0))
    plain.connect(("127.0.0.1", port))
    return (context or trusting(authority)).wrap_socket(plain, server_hostname="127.0.0.1")


def client(port: int) -> http.client.HTTPSConnection:
    """A connection that is kept."""
    return http.client.HTTPSConnection("127.0.0.1", port, context=trusting(authority), timeout=PATIENCE_SECONDS)


def post(connection: http.client.HTTPConnection, body: bytes | dict[str, Any], path: str = "/mutate") -> Answered:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request("POST", path, text, {"Content-Type": "application/json"})
    return answered(connection)


def answered(connection: http.client.HTTPConnection) -> Answered:
    response = connection.getresponse()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answered(response.status, headers, response.read())


def request(body: bytes | dict[str, Any], *headers: str, version: str = "1.1") -> bytes:
    """A call to /mutate as bytes."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = (f"POST /mutate HTTP/{version}", "Host: a", f"Content-Length: {len(text)}", *headers, "", "")
    return "\r\n".join(lines).encode() + text


def review(pod: Any = None, **request: Any) -> dict[str, Any]:
    """What an API server sends when a pod is created; None is a pod that trains."""
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "operation": "CREATE",
            "namespace": "team-a",
            "userInfo": {"username": "system:serviceaccount:kube-system:job-controller"},
            "object": TRAINING_POD if pod is None else pod,
            "oldObject": None,
            "dryRun": False,
            "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
            **request,
        },
    }


def response_from(connection: socket.socket) -> Answered:
    """The next response on a connection that was written to by hand."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return Answered(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())


def has_ended(connection: socket.socket) -> bool:
    """Whether the server closes the connection; what it says before is dropped."""
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def eventually(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)


def _main(directory: Path, drain_seconds: float) -> None:
    """Serve with the certificate of a directory, if there is one, and write log lines to standard error."""
    log.configure()
    certificate, metrics, logger = Certificate(), Metrics(Refusal), log.logger()

    if (directory / "tls.crt").exists():
        certificate.use((directory / "tls.crt").read_bytes(), (directory / "tls.key").read_bytes())
    mutation = Mutation(_Delayed(), Config, metrics, logger)
    logger.info("starting")
    run(
        Server(Addresses("127.0.0.1", 0, 0), mutation, certificate, metrics, logger, drain_seconds=drain_seconds),
    )


if __name__ == "__main__":
    _main(Path(sys.argv[1]), float(sys.argv[2]))
