"""`gracekeeper doctor` on a dump of a large cluster: how long it takes, and how much memory."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bench.crowd import NODES, node
from bench.reviews import osmo_pod
from webhook.api import Api

PODS, TRAINERS = 10_000, 2_000
PODS_ON_CLUSTER = 1_000
_THREADS = 8
_CALL_SECONDS = 60.0
_KUBECTL_SECONDS = 120.0
_POOLS = 20
_NAMESPACES = 50
_POOL_LABEL = "karpenter.sh/nodepool"
_MIB = 1024


@dataclass(frozen=True, slots=True)
class Examined:
    """One run of the command."""

    source: str
    pods: int
    nodes: int
    dump_mib: float
    """The size of its files; 0 for a cluster."""
    seconds: float
    peak_mib: float
    findings: int
    trainers: int


def of_dump(folder: Path) -> Examined:
    """Write the dump of a cluster of 10,000 pods and 2,000 nodes, and examine it."""
    dump = folder / "dump"
    dump.mkdir()
    for resource, kind, objects in (
        ("nodes", "Node", _nodes()),
        ("pods", "Pod", _pods()),
        ("namespaces", "Namespace", _named("Namespace", "team", _NAMESPACES)),
        ("nodepools.karpenter.sh", "NodePool", _node_pools()),
    ):
        _write_list(dump / f"{resource}.json", kind, objects)
    size = sum(path.stat().st_size for path in dump.iterdir())
    seconds, peak_mib, report = _run(["-f", str(dump)])
    return Examined("dump", PODS, NODES, size / 2**20, seconds, peak_mib, *_counts(report))


def of_cluster(kubectl: Path, kubeconfig: Path) -> Examined:
    """Make 1,000 pods in a namespace of their own, which no node takes, examine the cluster, and remove them."""
    api = Api.from_kubeconfig(str(kubeconfig))
    namespace = f"gracekeeper-doctor-{uuid.uuid4().hex[:8]}"
    run = partial(subprocess.run, capture_output=True, check=True, timeout=_KUBECTL_SECONDS)
    by_kubectl = [str(kubectl), f"--kubeconfig={kubeconfig}"]
    run([*by_kubectl, "create", "namespace", namespace])
    try:
        pods = f"/api/v1/namespaces/{namespace}/pods"
        with ThreadPoolExecutor(_THREADS) as pool:
            numbers = range(PODS_ON_CLUSTER)
            list(pool.map(lambda number: api.post(pods, _waiting_pod(number), timeout_seconds=_CALL_SECONDS), numbers))
        seconds, peak_mib, report = _run([], {"KUBECONFIG": str(kubeconfig)})
        all_pods, nodes = (_count(api, resource) for resource in ("pods", "nodes"))
    finally:
        run([*by_kubectl, "delete", "namespace", namespace, "--wait=false"])
    return Examined("cluster", all_pods, nodes, 0, seconds, peak_mib, *_counts(report))


def _run(arguments: Sequence[str], environment: Mapping[str, str] = MappingProxyType({})) -> tuple[float, float, Any]:
    """Return seconds, the peak of resident memory in MiB, and the report."""
    command = [sys.executable, "-m", "webhook", "doctor", "-o", "json", "--fail-on", "never", *arguments]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **environment})
    assert process.stdout is not None
    report = json.loads(process.stdout.read())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command)
    return time.perf_counter() - began, usage.ru_maxrss / _MIB, report


def _count(api: Api, resource: str) -> int:
    return len(api.get(f"/api/v1/{resource}", timeout_seconds=_CALL_SECONDS)["items"])


def _counts(report: dict[str, Any]) -> tuple[int, int]:
    return len(report["findings"]), report["cluster"]["trainingPods"]


def _write_list(path: Path, kind: str, objects: Iterator[dict[str, Any]]) -> None:
    """Write a list as kubectl writes it: indented by four."""
    with path.open("w", encoding="utf-8") as file:
        file.write('{\n    "apiVersion": "v1",\n    "items": [\n')
        for position, each in enumerate(objects):
            file.write(",\n" * (position > 0) + json.dumps({"apiVersion": "v1", "kind": kind, **each}, indent=4))
        file.write('\n    ],\n    "kind": "List",\n    "metadata": {"resourceVersion": ""}\n}\n')


def _nodes() -> Iterator[dict[str, Any]]:
    for number in range(NODES):
        made = node("bench", number)
        made["metadata"]["labels"][_POOL_LABEL] = f"pool-{number % _POOLS}"
        yield made


def _node_pools() -> Iterator[dict[str, Any]]:
    spec = {"template": {"spec": {"terminationGracePeriod": "5m"}}}
    return ({**each, "spec": spec} for each in _named("NodePool", "pool", _POOLS))


def _named(kind: str, prefix: str, count: int) -> Iterator[dict[str, Any]]:
    return ({"kind": kind, "metadata": {"name": f"{prefix}-{number}"}} for number in range(count))


def _pods() -> Iterator[dict[str, Any]]:
    """Yield one training pod of five, and others as long as those of a service."""
    for number in range(PODS):
        pod = osmo_pod() if number % (PODS // TRAINERS) == 0 else _service_pod()
        pod["metadata"] |= {"name": f"pod-{number}", "namespace": f"team-{number % _NAMESPACES}"}
        pod["spec"]["nodeName"] = f"bench-{number % NODES}"
        pod["status"] = _status(pod["spec"]["containers"])
        yield pod


def _waiting_pod(number: int) -> dict[str, Any]:
    """A training pod that no node takes."""
    pod = osmo_pod() if number % (PODS // TRAINERS) == 0 else _service_pod()
    pod["metadata"].pop("namespace", None)
    pod["metadata"].pop("ownerReferences", None)
    pod["metadata"]["name"] = f"pod-{number}"
    pod["spec"] |= {"nodeSelector": {"gracekeeper.dev/no-node": "true"}}
    return pod


def _service_pod() -> dict[str, Any]:
    env = [{"name": f"SETTING_{number:02}", "value": f"a value of some length {number}"} for number in range(30)]
    probe = {"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10, "timeoutSeconds": 1}
    container = {
        "name": "api",
        "image": "registry.example.com/a-team-with-a-long-name/an-image-with-a-long-name:v1.2.3",
        "env": env,
        "livenessProbe": probe,
        "readinessProbe": probe,
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
        "volumeMounts": [
            {"mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": "kube-api-access-abcde"}
        ],
    }
    token = {"name": "kube-api-access-abcde", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "api-5d4f8c7b9d", "uid": "u", "controller": True}
    return {
        "metadata": {"labels": {"app": "api", "pod-template-hash": "5d4f8c7b9d"}, "ownerReferences": [owner]},
        "spec": {"containers": [container], "volumes": [token], "terminationGracePeriodSeconds": 30},
    }


def _status(containers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    times = {"lastProbeTime": None, "lastTransitionTime": "2026-11-28T12:00:00Z", "status": "True"}
    kinds = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    return {
        "phase": "Running",
        "startTime": "2026-11-28T12:00:00Z",
        "conditions": [{"type": kind, **times} for kind in kinds],
        "containerStatuses": [
            {
                "name": each["name"],
                "image": each["image"],
                "imageID": f"{each['image']}@sha256:{'0' * 64}",
                "containerID": f"containerd://{'0' * 64}",
                "ready": True,
                "restartCount": 0,
                "started": True,
                "state": {"running": {"startedAt": "2026-11-28T12:00:01Z"}},
            }
            for each in containers
        ],
    }
