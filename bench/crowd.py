"""A cluster with thousands of objects: what the first lists cost in memory, and how long a decision takes among them.

The objects are made in a real API server and removed again. The server is this machine's own process, with the facts of
that cluster; beside it, in the same run, the one with the facts of a cluster that holds four objects.
"""

import http.client
import ssl
import statistics
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench.contestants import WITH_FACTS, Contestant, gracekeeper, running
from bench.measure import Bench, Say, loaded
from bench.process import peak_mib
from bench.reviews import osmo_pod, review
from webhook.api import Api
from webhook.policy.prefix import PREFIX

CLAIMS, CLASSES, NODES = 5_000, 200, 2_000
REQUESTS, WARM_UP = 5_000, 500
_REMOVALS = 10
LABEL = f"{PREFIX}bench"
CROWDED = "gracekeeper, crowd"
_THREADS = 8
_CALL_SECONDS = 60.0
_KUBECTL_SECONDS = 120.0
_IMAGES_OF_A_NODE = 50
"""As many as a kubelet reports."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """One server's memory and milliseconds: warm for the same claim again and again, cold for each claim once."""

    contestant: str
    ready_seconds: float
    peak_mib_when_ready: float
    peak_mib_at_the_end: float
    warm_p50_ms: float
    warm_p99_ms: float
    cold_p50_ms: float | None = None
    cold_p99_ms: float | None = None


def measured(bench: Bench, kubectl: Path, kubeconfig: Path, say: Say) -> list[Crowd]:
    """Both servers, one after the other, while the objects are there."""
    api = Api.from_kubeconfig(str(kubeconfig))
    say(f"making {CLAIMS:,} claims, {CLASSES} StorageClasses, {NODES:,} nodes")
    with crowded(api, [str(kubectl), f"--kubeconfig={kubeconfig}"]) as namespace:
        say("decisions among few objects, then among these")
        with running(WITH_FACTS, bench.certificate, bench.folder, bench.server_core) as few:
            rows = [_measured(bench, few, bench.bodies["small"])]
        body = bench.folder / "crowd.json"
        body.write_bytes(review(a_pod(0), namespace))
        with gracekeeper(CROWDED, bench.certificate, bench.folder, bench.server_core, kubeconfig) as server:
            rows.append(_measured(bench, server, body, [review(a_pod(n), namespace) for n in range(CLAIMS)]))
    return rows


def _measured(bench: Bench, server: Contestant, body: Path, cold: Sequence[bytes] = ()) -> Crowd:
    peak_when_ready = peak_mib(server.pid)
    cold_ms = _each_once(bench, server, cold) if cold else []
    job = replace(bench.job(server, "small", 1), body_file=str(body), warm_up=WARM_UP, requests=REQUESTS)
    result = loaded(job)
    if result.failed:
        raise RuntimeError(f"{server.name}: {result.failed} reviews were not answered with a patch")
    warm = statistics.quantiles(result.latencies_us, n=100)
    line = Crowd(
        server.name,
        server.ready_seconds,
        peak_when_ready,
        peak_mib(server.pid),
        warm_p50_ms=warm[49] / 1000,
        warm_p99_ms=warm[98] / 1000,
    )
    if not cold_ms:
        return line
    centiles = statistics.quantiles(cold_ms, n=100)
    return replace(line, cold_p50_ms=centiles[49], cold_p99_ms=centiles[98])


def _each_once(bench: Bench, server: Contestant, bodies: Sequence[bytes]) -> list[float]:
    """Milliseconds of each answer, over one kept connection."""
    context = ssl.create_default_context(cafile=str(bench.certificate.authority))
    connection = http.client.HTTPSConnection("localhost", server.port, timeout=_CALL_SECONDS, context=context)
    took_ms = []
    for body in bodies:
        began = time.perf_counter()
        connection.request("POST", "/mutate?timeout=3s", body, {"Content-Type": "application/json"})
        connection.getresponse().read()
        took_ms.append((time.perf_counter() - began) * 1000)
    connection.close()
    return took_ms


def a_pod(number: int) -> dict[str, Any]:
    """A training pod that saves to one of the claims."""
    pod = osmo_pod()
    pod["metadata"]["name"] = f"train-{number}"
    for volume in pod["spec"]["volumes"]:
        if "persistentVolumeClaim" in volume:
            volume["persistentVolumeClaim"]["claimName"] = f"claim-{number}"
    return pod


@contextmanager
def crowded(api: Api, kubectl: Sequence[str]) -> Iterator[str]:
    """The objects, in a namespace of their own where they have one; the first claim is bound. What is removed may take minutes."""
    namespace = f"gracekeeper-crowd-{uuid.uuid4().hex[:8]}"
    claims = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    classes, nodes, volumes = "/apis/storage.k8s.io/v1/storageclasses", "/api/v1/nodes", "/api/v1/persistentvolumes"
    posts = [(classes, storage_class(namespace, number)) for number in range(CLASSES)]
    posts += [(nodes, node(namespace, number)) for number in range(NODES)]
    posts += [(volumes, _volume(namespace)), *((claims, _claim(namespace, number)) for number in range(CLAIMS))]
    _run([*kubectl, "create", "namespace", namespace])
    try:
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(lambda post: api.post(*post, timeout_seconds=_CALL_SECONDS), posts))
        yield namespace
    finally:
        for collection in (nodes, classes, volumes):
            _remove_all([*kubectl, "delete", f"--raw={collection}?labelSelector={quote(f'{LABEL}={namespace}')}"])
        _run([*kubectl, "delete", "namespace", namespace, "--wait=false"])


def storage_class(crowd: str, number: int) -> dict[str, Any]:
    """One of the classes, no two of which give the same speed."""
    return {
        "metadata": _metadata(crowd, f"{crowd}-{number}"),
        "provisioner": "ebs.csi.aws.com",
        "parameters": {"type": "gp3", "throughput": str(125 + number), "iops": "4000", "encrypted": "true"},
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def _claim(crowd: str, number: int) -> dict[str, Any]:
    bound = {"volumeName": crowd} if number == 0 else {}
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": f"{crowd}-{number % CLASSES}",
        "resources": {"requests": {"storage": "500Gi"}},
    }
    return {"metadata": _metadata(crowd, f"claim-{number}"), "spec": spec | bound}


def _volume(crowd: str) -> dict[str, Any]:
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": f"{crowd}-0",
        "capacity": {"storage": "500Gi"},
        "csi": {"driver": "ebs.csi.aws.com", "volumeHandle": "vol-0"},
    }
    return {"metadata": _metadata(crowd, crowd), "spec": spec}


def node(crowd: str, number: int) -> dict[str, Any]:
    """As large as a kubelet's own, and such that neither a pod nor a DaemonSet's pod ever goes there."""
    name = f"{crowd}-{number}"
    labels = {
        "kubernetes.io/os": "windows",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
        "topology.kubernetes.io/zone": crowd,
        "node.kubernetes.io/instance-type": "p5.48xlarge",
        "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
        "nvidia.com/gpu.memory": "81559",
    } | {f"feature.node.kubernetes.io/cpu-cpuid.FEATURE{n:02}": "true" for n in range(60)}
    metadata = _metadata(crowd, name)
    metadata["labels"] |= labels
    repository = "registry.example.com/a-team-with-a-long-name/an-image-with-a-long-name"
    names = [[f"{repository}-{n}@sha256:{n:064}", f"{repository}-{n}:v1.{n}.0"] for n in range(_IMAGES_OF_A_NODE)]
    return {
        "metadata": metadata,
        "spec": {"unschedulable": True, "taints": [{"key": LABEL, "effect": "NoSchedule"}]},
        "status": {
            "capacity": {"cpu": "192", "memory": "2097152Mi", "nvidia.com/gpu": "8"},
            "nodeInfo": _NODE_INFO,
            "images": [{"names": both, "sizeBytes": 10**9} for both in names],
        },
    }


_NODE_INFO = dict.fromkeys(
    ("machineID", "systemUUID", "bootID", "osImage", "containerRuntimeVersion", "kernelVersion", "kubeProxyVersion"),
    "x",
) | {"kubeletVersion": "v1.34.4", "operatingSystem": "windows", "architecture": "amd64"}


def _metadata(crowd: str, name: str) -> dict[str, Any]:
    return {"name": name, "labels": {LABEL: crowd}}


def _remove_all(command: Sequence[str]) -> None:
    """A server that cannot remove so many within a minute says so, and goes on where it is asked again."""
    for _ in range(_REMOVALS):
        with suppress(subprocess.CalledProcessError):
            _run(command)
            return
    _run(command)


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, capture_output=True, check=True, timeout=_KUBECTL_SECONDS)
