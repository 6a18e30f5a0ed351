"""What gracekeeper adds to the creation of a pod, through a real API server that has it installed.

Matched and unmatched pods (opted out by label: the API server does not even call) are created in turns, in a namespace
of this run that goes with everything in it. No scheduler takes them, so that no kubelet disturbs.
"""

import statistics
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.reviews import osmo_pod
from webhook.api import Api
from webhook.policy.prefix import DECISION_ANNOTATION, ENABLED_LABEL

PODS = 250
"""Of each kind: as many again are not matched."""
WARM_UP = 20
_CALL_SECONDS = 30.0
_KUBECTL_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Added:
    """Milliseconds of a creation without and with gracekeeper."""

    how: str
    pods: int
    unmatched_p50_ms: float
    unmatched_p99_ms: float
    matched_p50_ms: float
    matched_p99_ms: float
    patched: int


def added(kubectl: Path, kubeconfig: Path) -> list[Added]:
    """Dry runs, then real pods."""
    api = Api.from_kubeconfig(str(kubeconfig))
    with _namespace([str(kubectl), f"--kubeconfig={kubeconfig}"]) as namespace:
        return [_added(api, namespace, "dry run", {"dryRun": "All"}), _added(api, namespace, "created", {})]


def _added(api: Api, namespace: str, how: str, query: dict[str, str]) -> Added:
    times_ms: dict[bool, list[float]] = {True: [], False: []}
    patched = 0
    for number in range(WARM_UP + PODS):
        for matched in (False, True):
            pod = _pod(namespace, f"{how.replace(' ', '-')}-{number}-{str(matched).lower()}", matched=matched)
            began = time.perf_counter()
            made = api.post(f"/api/v1/namespaces/{namespace}/pods", pod, query=query, timeout_seconds=_CALL_SECONDS)
            took_ms = (time.perf_counter() - began) * 1000
            if number >= WARM_UP:
                times_ms[matched].append(took_ms)
                patched += DECISION_ANNOTATION in (made["metadata"].get("annotations") or {})
    without, with_it = (statistics.quantiles(times_ms[matched], n=100) for matched in (False, True))
    return Added(how, PODS, without[49], without[98], with_it[49], with_it[98], patched)


def _pod(namespace: str, name: str, *, matched: bool) -> dict[str, Any]:
    """The small pod of the bench, never scheduled; unmatched it says so itself."""
    pod = osmo_pod()
    pod["metadata"] |= {"name": name, "namespace": namespace}
    pod["metadata"].pop("finalizers", None)  # nobody is there to take it away
    pod["spec"]["schedulerName"] = "nobody"
    if not matched:
        pod["metadata"]["labels"][ENABLED_LABEL] = "false"
    return pod


@contextmanager
def _namespace(kubectl: list[str]) -> Iterator[str]:
    name = f"gracekeeper-bench-{uuid.uuid4().hex[:8]}"
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}
    _run([*kubectl, "create", "namespace", name])
    try:
        _run([*kubectl, "apply", "-f", "-"], yaml.safe_dump(account))  # or pods are refused until a controller made it
        yield name
    finally:
        _run([*kubectl, "delete", "namespace", name, "--wait=false"])


def _run(command: list[str], text: str | None = None) -> None:
    subprocess.run(command, input=text, text=True, capture_output=True, check=True, timeout=_KUBECTL_SECONDS)
