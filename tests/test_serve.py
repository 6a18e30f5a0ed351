"""`gracekeeper serve` as a process of its own: what it asks the API server about, by its configuration."""

import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager

import pytest
import trustme

from bench import crowd
from bench.process import peak_mib
from tests import task_server
from tests.task_server import LIMIT_RANGES, NODES, PODS, QUOTAS
from tests.test_cluster import CLASSES, eventually

IMAGE = "gracekeeper/supervise:0.1.0"


@pytest.fixture
def server():
    with task_server.running() as server:
        yield server


@pytest.fixture
def certificate(tmp_path):
    leaf = trustme.CA().issue_cert("localhost")
    leaf.cert_chain_pems[0].write_to_path(tmp_path / "tls.crt")
    leaf.private_key_pem.write_to_path(tmp_path / "tls.key")
    return tmp_path


@contextmanager
def serving(server, folder, config, **settings):
    """The address of its health port, and its process; it is ended by SIGTERM, and must end well."""
    address, port, health_port = server.address, *free_ports(2)
    user = {"name": "u", "user": {}}
    cluster = {"name": "c", "cluster": {"server": address}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    kubeconfig = {"clusters": [cluster], "users": [user], "contexts": [context], "current-context": "x"}
    (folder / "kubeconfig").write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **kubeconfig}))
    (folder / "config.yaml").write_text(json.dumps(config))
    variables = {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "HEALTH_PORT": str(health_port),
        "CONFIG_FILE": str(folder / "config.yaml"),
        "DRAIN_SECONDS": "0",
        "NAMESPACE": "gracekeeper",
        "CERTIFICATE_SOURCE": "files",
        "CERTIFICATE_DIRECTORY": str(folder),
        **settings,
    }
    environment = {**os.environ, "KUBECONFIG": str(folder / "kubeconfig")}
    environment |= {f"GRACEKEEPER_SERVER_{name}": value for name, value in variables.items()}
    process = subprocess.Popen([sys.executable, "-m", "webhook", "serve"], env=environment, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{health_port}", process.pid
    finally:
        process.terminate()
        assert process.wait(60) == 0


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def read(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def test_given_an_image_of_supervise_then_it_watches_and_asks_what_conversion_needs(server, certificate):
    with serving(server, certificate, {"supervise": {"image": IMAGE}}) as (address, _):
        eventually(lambda: read(f"{address}/readyz") == "ok\n")
        assert "\ngracekeeper_native_sidecars 1.0\n" in read(f"{address}/metrics")
        for kind in ("Namespace", "Node", "LimitRange", "ResourceQuota"):
            assert f'gracekeeper_watch_age_seconds{{kind="{kind}"}}' in read(f"{address}/metrics")
    assert server.count(f"POST {PODS}") == 1
    (pod,) = server.shown
    assert {each["image"] for each in (*pod["spec"]["initContainers"], *pod["spec"]["containers"])} == {IMAGE}


def test_given_no_image_of_supervise_then_it_needs_none_of_it(server, certificate):
    with serving(server, certificate, {}) as (address, _):
        eventually(lambda: read(f"{address}/readyz") == "ok\n")
        assert "\ngracekeeper_native_sidecars 0.0\n" in read(f"{address}/metrics")
    for path in (f"POST {PODS}", f"GET {LIMIT_RANGES}", f"GET {QUOTAS}", "GET /version"):
        assert server.count(path) == 0


def test_a_changed_configuration_is_used_and_a_broken_one_is_told_without_a_restart(server, certificate):
    with serving(server, certificate, {}) as (address, _):
        eventually(lambda: read(f"{address}/readyz") == "ok\n")
        began = loaded_at(address)
        (certificate / "config.yaml").write_text("mode: none")
        eventually(lambda: read(f"{address}/readyz").count("\n") > 1)
        assert read(f"{address}/readyz").splitlines() == [
            "ok",
            (
                "the configuration file cannot be used, the former one holds: "
                "mode: Input should be 'enforce' or 'audit' (it is 'none')"
            ),
        ]
        assert "\ngracekeeper_config_valid 0.0\n" in read(f"{address}/metrics")
        assert loaded_at(address) == began
        (certificate / "config.yaml").write_text("mode: audit")
        eventually(lambda: read(f"{address}/readyz") == "ok\n")
        assert "\ngracekeeper_config_valid 1.0\n" in read(f"{address}/metrics")
        assert loaded_at(address) > began


def test_the_first_lists_of_a_large_cluster_fit_into_200_mib(server, certificate):
    """The chart's limit is 384 MiB; `python -m bench --crowd` measures the same on a real API server."""
    for number in range(crowd.NODES):
        server.put(f"{NODES}/{number}", **crowd.node("large", number))
    for number in range(crowd.CLASSES):
        server.put(f"{CLASSES}/{number}", **crowd.storage_class("large", number))
    with serving(server, certificate, {"supervise": {"image": IMAGE}}) as (address, pid):
        eventually(lambda: read(f"{address}/readyz") == "ok\n", 30)
        assert server.count(f"GET {NODES}") > crowd.NODES / 100  # all of it was read, in pages
        assert peak_mib(pid) < 200, peak_mib(pid)


def loaded_at(address: str) -> float:
    (line,) = re.findall(
        r"^gracekeeper_config_loaded_timestamp_seconds (\S+)$", read(f"{address}/metrics"), re.MULTILINE
    )
    return float(line)
