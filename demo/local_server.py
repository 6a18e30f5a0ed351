"""`gracekeeper serve` as a process of this machine, with a certificate of its own, and a caller that asks as API servers do."""

import base64
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from webhook.policy.prefix import SERVER_ENVIRONMENT_PREFIX
from webhook.tls.certificates import new_authority, new_leaf

HOST = "127.0.0.1"
NAME = "localhost"
_READY_SECONDS = 30.0
_CALL_SECONDS = 10.0
_POLL_SECONDS = 0.05


class DemoError(Exception):
    """Why the demo cannot go on; the message is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an API server would have been told about one pod."""

    patch: list[dict[str, Any]]
    warnings: list[str]
    seconds: float


@dataclass(frozen=True, slots=True)
class LocalServer:
    """The server while it runs."""

    port: int
    health_port: int
    _trusted: ssl.SSLContext

    def ask(self, pod: dict[str, Any], namespace: str) -> Answer:
        """Send the AdmissionReview of a pod that is about to be created."""
        connection = http.client.HTTPSConnection(NAME, self.port, timeout=_CALL_SECONDS, context=self._trusted)
        try:
            connection.connect()
            began = time.perf_counter()
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/mutate?timeout=3s", json.dumps(_review(pod, namespace)), headers)
            answered = json.loads(connection.getresponse().read())["response"]
            seconds = time.perf_counter() - began
        finally:
            connection.close()
        patch = json.loads(base64.b64decode(answered["patch"])) if "patch" in answered else []
        return Answer(patch, answered.get("warnings", []), seconds)

    def counted(self, series: str) -> int:
        """A number from /metrics."""
        lines = self._health("/metrics")[1].splitlines()
        return int(float(next(line.rpartition(" ")[2] for line in lines if line.startswith(f"{series} "))))

    def is_ready(self) -> bool:
        """What a readiness probe would find."""
        try:
            return self._health("/readyz")[0] == http.client.OK
        except OSError:
            return False

    def _health(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(HOST, self.health_port, timeout=_CALL_SECONDS)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


@contextmanager
def running() -> Iterator[LocalServer]:
    """Start the server, wait until it is ready, and end it."""
    with tempfile.TemporaryDirectory(prefix="gracekeeper-demo-") as folder:
        directory = Path(folder)
        trusted = _write_certificate(directory)
        port, health_port = _free_ports()
        lines = directory / "log"
        command = [sys.executable, "-m", "webhook", "serve"]
        with lines.open("wb") as log:
            process = subprocess.Popen(command, env=_environment(directory, port, health_port), stderr=log)  # noqa: S603  # ours
        try:
            server = LocalServer(port, health_port, trusted)
            _wait_until_ready(server, process, lines)
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(_READY_SECONDS)


def _environment(directory: Path, port: int, health_port: int) -> dict[str, str]:
    """The environment of this process without settings of another server, and with ours."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(SERVER_ENVIRONMENT_PREFIX)}
    ours = {
        "HOST": HOST,
        "PORT": str(port),
        "HEALTH_PORT": str(health_port),
        "FACTS": "none",
        "CERTIFICATE_SOURCE": "files",
        "CERTIFICATE_DIRECTORY": str(directory),
        "DRAIN_SECONDS": "0",
    }
    return inherited | {SERVER_ENVIRONMENT_PREFIX + key: value for key, value in ours.items()}


def _write_certificate(directory: Path) -> ssl.SSLContext:
    """tls.crt and tls.key for localhost; the result trusts them."""
    now, day = datetime.now(UTC), timedelta(days=1)
    authority = new_authority(day, now)
    leaf = new_leaf(authority, [NAME], day, now)
    (directory / "tls.crt").write_bytes(leaf.certificate_pem)
    (directory / "tls.key").write_bytes(leaf.key_pem)
    return ssl.create_default_context(cadata=authority.certificate_pem.decode())


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        for listening in (one, other):
            listening.bind((HOST, 0))
        return one.getsockname()[1], other.getsockname()[1]


def _wait_until_ready(server: LocalServer, process: subprocess.Popen[bytes], lines: Path) -> None:
    end = time.monotonic() + _READY_SECONDS
    while not server.is_ready():
        if process.poll() is not None or time.monotonic() > end:
            last_line = (lines.read_text(errors="replace").splitlines() or ["nothing"])[-1]
            raise DemoError(f"the server did not get ready, its last line: {last_line}; see docs/server.md")
        time.sleep(_POLL_SECONDS)


def _review(pod: dict[str, Any], namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": str(uuid.uuid4()),
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "operation": "CREATE",
            "namespace": namespace,
            "object": pod,
            "dryRun": False,
        },
    }
