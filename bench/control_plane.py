"""An API server with its etcd, as two processes of this machine: no node, no controller, no scheduler.

The programs are those of the kind nodes of the e2e tests (tools/cluster), which builds them where they are not there yet.
"""

import http.client
import os
import secrets
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import trustme
import yaml

from bench.contestants import HOST, NotReadyError, free_port, process_of, wait_until_ready
from tools.cluster import kubernetes
from tools.cluster.settings import Settings

_READY_SECONDS, _ANSWER_SECONDS, _PAUSE_SECONDS = 180.0, 10.0, 0.5
"""An API server starts within seconds, and on busy cores within a minute or two."""


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A running API server."""

    pid: int
    kubeconfig: Path
    version: str


@contextmanager
def control_plane(folder: Path) -> Iterator[ControlPlane]:
    """The API server, empty, until the context ends."""
    settings = Settings.from_environment(os.environ)
    programs, etcd = kubernetes.binaries(settings), kubernetes.etcd(settings.cache)
    client, peer, port = free_port(), free_port(), free_port()
    urls = f"http://{HOST}:{client}"
    command = [str(etcd), f"--data-dir={folder / 'etcd'}", f"--listen-client-urls={urls}", "--unsafe-no-fsync"]
    peers = [f"--advertise-client-urls={urls}", f"--listen-peer-urls=http://{HOST}:{peer}"]
    with process_of("etcd", [*command, *peers], {}, folder, None) as (store, _):
        wait_until_ready("etcd", store, http.client.HTTPConnection(HOST, client, timeout=1), "/health", folder)
        kubeconfig, options, context = _credentials(folder, port)
        command = [str(programs / "kube-apiserver"), f"--etcd-servers={urls}", f"--secure-port={port}", *options]
        with process_of("kube-apiserver", command, {}, folder, None) as (process, _):
            connection = http.client.HTTPSConnection(HOST, port, timeout=_ANSWER_SECONDS, context=context)
            _wait_until_ready(process, connection)
            yield ControlPlane(process.pid, kubeconfig, settings.kubernetes_version)


def _wait_until_ready(process: subprocess.Popen[bytes], connection: http.client.HTTPSConnection) -> None:
    """Ask now and then: a handshake every two milliseconds would keep it from getting ready."""
    end = time.monotonic() + _READY_SECONDS
    while process.poll() is None and time.monotonic() < end:
        with suppress(OSError):
            connection.request("GET", "/readyz")
            if connection.getresponse().status == HTTPStatus.OK:
                connection.close()
                return
        connection.close()
        time.sleep(_PAUSE_SECONDS)
    raise NotReadyError(f"kube-apiserver was not ready within {_READY_SECONDS:g} s")


def _credentials(folder: Path, port: int) -> tuple[Path, list[str], ssl.SSLContext]:
    """Write a certificate, a token and a kubeconfig; return it, the API server's options, and a context that trusts it."""
    authority = trustme.CA()
    serving, signing = authority.issue_cert(HOST), trustme.CA().issue_cert("accounts", key_type=trustme.KeyType.RSA)
    paths = {name: folder / name for name in ("api.crt", "api.key", "accounts.key", "api-ca.crt", "tokens.csv")}
    serving.cert_chain_pems[0].write_to_path(paths["api.crt"])
    serving.private_key_pem.write_to_path(paths["api.key"])
    signing.private_key_pem.write_to_path(paths["accounts.key"])
    authority.cert_pem.write_to_path(paths["api-ca.crt"])
    token = secrets.token_hex(16)
    paths["tokens.csv"].write_text(f"{token},bench,bench,system:masters\n", encoding="utf-8")
    named = {"server": f"https://{HOST}:{port}", "certificate-authority": str(paths["api-ca.crt"])}
    kubeconfig = folder / "api.kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "bench", "cluster": named}],
        "users": [{"name": "bench", "user": {"token": token}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        "current-context": "bench",
    }
    kubeconfig.write_text(yaml.safe_dump(document), encoding="utf-8")
    options = [
        f"--bind-address={HOST}",
        f"--tls-cert-file={paths['api.crt']}",
        f"--tls-private-key-file={paths['api.key']}",
        f"--token-auth-file={paths['tokens.csv']}",
        f"--service-account-key-file={paths['accounts.key']}",
        f"--service-account-signing-key-file={paths['accounts.key']}",
        "--service-account-issuer=https://bench.invalid",
        "--service-cluster-ip-range=10.96.0.0/24",
        "--authorization-mode=RBAC",
        "--disable-admission-plugins=ServiceAccount",
    ]
    context = ssl.create_default_context(cafile=str(paths["api-ca.crt"]))
    return kubeconfig, options, context
