"""Who is compared: the floor, gracekeeper without a cluster, and gracekeeper with the facts of one; each a real process."""

import base64
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme
import yaml

from bench.reviews import CLAIM, NAMESPACE, bodies
from tests import task_server
from tests.fake_api import FakeApi
from webhook import __version__

HOST = "127.0.0.1"
FLOOR, BARE, WITH_FACTS = "floor", "gracekeeper", "gracekeeper, facts"
_READY_SECONDS = 30.0
_LOOK_SECONDS = 0.002
_END_SECONDS = 20.0


class NotReadyError(Exception):
    """A process that did not begin to answer; the message says which, and where its lines are."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files of a P-256 certificate for localhost, and of the authority that signed it."""

    directory: Path
    authority: Path

    @classmethod
    def issued(cls, directory: Path) -> "Certificate":
        """A new one, in an empty directory."""
        authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        issued = authority.issue_cert("localhost", key_type=trustme.KeyType.ECDSA)
        certificate = cls(directory / "tls", directory / "ca.crt")
        certificate.directory.mkdir()
        issued.private_key_pem.write_to_path(certificate.directory / "tls.key")
        for blob in issued.cert_chain_pems:
            blob.write_to_path(certificate.directory / "tls.crt", append=True)
        authority.cert_pem.write_to_path(certificate.authority)
        return certificate


@dataclass(frozen=True, slots=True)
class Contestant:
    """A process that answers AdmissionReviews on a port."""

    name: str
    pid: int
    port: int
    ready_seconds: float
    """From the start of the process until it said that it was ready."""


@contextmanager
def running(name: str, certificate: Certificate, folder: Path, core: int | None) -> Iterator[Contestant]:
    """The contestant of that name, on that core, until the context ends."""
    with ExitStack() as stack:
        if name == FLOOR:
            yield stack.enter_context(_floor(certificate, folder, core))
            return
        _, kubeconfig = stack.enter_context(cluster(folder)) if name == WITH_FACTS else (None, None)
        yield stack.enter_context(gracekeeper(name, certificate, folder, core, kubeconfig))


@contextmanager
def _floor(certificate: Certificate, folder: Path, core: int | None) -> Iterator[Contestant]:
    port = free_port()
    files = [str(certificate.directory / name) for name in ("tls.crt", "tls.key")]
    command = [sys.executable, "-m", "bench.floor", str(port), *files]
    context = ssl.create_default_context(cafile=str(certificate.authority))
    connection = http.client.HTTPSConnection("localhost", port, timeout=1, context=context)
    with process_of(FLOOR, command, {}, folder, core) as (process, began):
        wait_until_ready(FLOOR, process, connection, "/openapi.json", folder)
        yield Contestant(FLOOR, process.pid, port, time.monotonic() - began)


@contextmanager
def gracekeeper(
    name: str, certificate: Certificate, folder: Path, core: int | None, kubeconfig: Path | None
) -> Iterator[Contestant]:
    """The server as this machine's process, with the facts of the kubeconfig's cluster, or with none."""
    port, health_port = free_port(), free_port()
    config = folder / "config.json"
    config.write_text(json.dumps({"supervise": {"image": f"gracekeeper/supervise:{__version__}"}}), encoding="utf-8")
    settings = {
        "HOST": HOST,
        "PORT": port,
        "HEALTH_PORT": health_port,
        "FACTS": "none" if kubeconfig is None else "cluster",
        "CERTIFICATE_SOURCE": "files",
        "CERTIFICATE_DIRECTORY": certificate.directory,
        "DRAIN_SECONDS": 0,
        "CONFIG_FILE": config,
        "NAMESPACE": "gracekeeper",
    }
    environment = {f"GRACEKEEPER_SERVER_{key}": str(value) for key, value in settings.items()}
    if kubeconfig is not None:
        environment["KUBECONFIG"] = str(kubeconfig)
    connection = http.client.HTTPConnection(HOST, health_port, timeout=1)
    with process_of(name, [sys.executable, "-m", "webhook", "serve"], environment, folder, core) as (process, began):
        wait_until_ready(name, process, connection, "/readyz", folder)
        ready_seconds = time.monotonic() - began
        _must_convert(name, port, certificate)
        yield Contestant(name, process.pid, port, ready_seconds)


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[FakeApi, Path]]:
    """An API server in memory that holds the pod's claim -> volume -> StorageClass, and the path of its kubeconfig."""
    with task_server.running() as api:
        api.bookmark_seconds = 60.0  # as a real one
        api.put(f"/api/v1/namespaces/{NAMESPACE}", kind="Namespace")
        api.put(
            f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims/{CLAIM}",
            kind="PersistentVolumeClaim",
            spec={"accessModes": ["ReadWriteOnce"], "storageClassName": "gp3", "volumeName": "pv-1"},
        )
        driver = {"driver": "ebs.csi.aws.com", "volumeHandle": "vol-1"}
        api.put("/api/v1/persistentvolumes/pv-1", kind="PersistentVolume", spec={"csi": driver})
        api.put(
            "/apis/storage.k8s.io/v1/storageclasses/gp3",
            kind="StorageClass",
            provisioner="ebs.csi.aws.com",
            parameters={"type": "gp3", "throughput": "125"},
        )
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "memory", "cluster": {"server": api.address}}],
                    "users": [{"name": "bench", "user": {}}],
                    "contexts": [{"name": "bench", "context": {"cluster": "memory", "user": "bench"}}],
                    "current-context": "bench",
                }
            ),
            encoding="utf-8",
        )
        yield api, kubeconfig


@contextmanager
def process_of(
    name: str, command: list[str], environment: Mapping[str, str], folder: Path, core: int | None
) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """A process of the bench, and when it began, until the context ends. Its lines go to a file of the folder."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("GRACEKEEPER_", "KUBE"))}
    began = time.monotonic()
    with _lines(name, folder).open("wb") as lines:
        process = subprocess.Popen(command, env={**inherited, **environment}, stdout=lines, stderr=lines)
    try:
        if core is not None:
            os.sched_setaffinity(process.pid, {core})  # its threads come later and inherit this
        yield process, began
    finally:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_ready(
    name: str, process: subprocess.Popen[bytes], connection: http.client.HTTPConnection, path: str, folder: Path
) -> None:
    """Wait until a process answers; NotReadyError where it does not."""
    end = time.monotonic() + _READY_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(_LOOK_SECONDS)
        finally:
            connection.close()
    last_lines = _lines(name, folder).read_text(encoding="utf-8", errors="replace").splitlines()[-3:]
    raise NotReadyError(f"{name} was not ready within {_READY_SECONDS:g} s; its last lines: {' | '.join(last_lines)}")


def _must_convert(name: str, port: int, certificate: Certificate) -> None:
    """What is measured has to be the whole work: the grace and the conversion of a task pod."""
    context = ssl.create_default_context(cafile=str(certificate.authority))
    connection = http.client.HTTPSConnection("localhost", port, timeout=_READY_SECONDS, context=context)
    connection.request("POST", "/mutate", bodies()["small"], {"Content-Type": "application/json"})
    response = json.loads(connection.getresponse().read())["response"]
    connection.close()
    paths = [operation["path"] for operation in json.loads(base64.b64decode(response.get("patch", "W10=")))]
    if not {"/spec/terminationGracePeriodSeconds", "/spec/initContainers/-"} <= set(paths):
        raise NotReadyError(f"{name} does not convert the pod of the bench: {paths}")


def _lines(name: str, folder: Path) -> Path:
    return folder / f"{name.replace(', ', '-')}.log"


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        port: int = free.getsockname()[1]
        return port
