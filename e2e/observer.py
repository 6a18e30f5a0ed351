"""The observer on the cluster, and training pods that no kubelet runs: a test writes how they begin and end.

What a kubelet shows of a pod that ends is recorded in tests/recorded/terminations; e2e/test_learning.py has real ends.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from e2e import pods
from tools.cluster.steps import run
from tools.kube import CALL_SECONDS, Json, Kube, eventually
from tools.release import Release
from webhook.policy.observed.memory import DATA_KEY, Memory, memory_in

EVIDENCE_SECONDS, MAXIMUM_SECONDS, OWN_SECONDS = 60, 180, 30
VALUES: Mapping[str, Json] = {
    "observer": {"writeSeconds": 1},
    "config": {
        "defaults": {"unknownSizeGraceSeconds": EVIDENCE_SECONDS, "maximumGraceSeconds": MAXIMUM_SECONDS},
        "observer": {"minimumRunSeconds": 5},
    },
}
LEARNED_SECONDS = 60
"""From a pod's end to a server that knows of it: a watch, a write, another watch, on a machine that does other work."""
_NODE = "no-such-node"
_RAN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Observer:
    """The observer of a release."""

    kube: Kube
    release: Release

    @property
    def memory_name(self) -> str:
        """The ConfigMap that holds what was learned."""
        return f"{self.release.name}-terminations"

    def pod(self) -> Json:
        """Its pod, which is not ending; an error where there is not exactly one."""
        [pod] = self._pods()
        return pod

    def _pods(self) -> list[Json]:
        selector = f"app.kubernetes.io/instance={self.release.name},app.kubernetes.io/component=observer"
        found: list[Json] = self.kube.get("pods", namespace=self.release.namespace, selector=selector)["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def wait_until_ready(self, other_than: str = "") -> None:
        """Wait for a container of it that observes, and is not this one."""
        eventually(lambda: self.is_ready(other_than), "the observer is ready", 180)

    def is_ready(self, other_than: str = "") -> bool:
        """Whether its only container observes, and is not this one."""
        states = [state for pod in self._pods() for state in pod["status"].get("containerStatuses", [{"ready": False}])]
        return len(states) == 1 and states[0]["ready"] and states[0].get("containerID") != other_than

    def kill(self, how: str) -> None:
        """End it without a word: its process, or its pod."""
        pod = self.pod()
        [status] = pod["status"]["containerStatuses"]
        name, container = pod["metadata"]["name"], status["containerID"].removeprefix("containerd://")
        if how == "process":
            kill = ["ctr", "--namespace=k8s.io", "tasks", "kill", "--signal=SIGKILL", container]
            run(["docker", "exec", pod["spec"]["nodeName"], *kill])
        else:
            self.kube("delete", "pod", name, f"-n{self.release.namespace}", "--grace-period=0", "--force")
        self.wait_until_ready(other_than=status["containerID"])

    def ask(self, path: str) -> str:
        """What it answers on its health port."""
        pod = self.pod()["metadata"]["name"]
        base = f"/api/v1/namespaces/{self.release.namespace}/pods/{pod}:8080/proxy"
        return self.kube("get", "--raw", f"{base}{path}")

    def metric(self, name: str) -> float:
        """One of its series without labels."""
        [line] = [line for line in self.ask("/metrics").splitlines() if line.startswith(f"{name} ")]
        return float(line.rpartition(" ")[2])

    def notes(self) -> list[str]:
        """What /readyz says beside that it is ready."""
        return self.ask("/readyz").splitlines()[1:]

    def log(self) -> str:
        """The log of its container."""
        return self.kube("logs", self.pod()["metadata"]["name"], f"-n{self.release.namespace}")

    def text(self) -> str:
        """What the ConfigMap holds; empty where it holds nothing."""
        data = self.kube.get("configmap", self.memory_name, self.release.namespace).get("data") or {}
        return str(data.get(DATA_KEY, ""))

    def memory(self) -> Memory:
        """What is remembered."""
        return memory_in(self.text())

    def write(self, text: str | None) -> None:
        """Replace what the ConfigMap holds; None: no data at all."""
        held = self.kube.get("configmap", self.memory_name, self.release.namespace)
        metadata = {key: value for key, value in held["metadata"].items() if key != "resourceVersion"}
        content = {**held, "metadata": metadata, "data": {} if text is None else {DATA_KEY: text}}
        self.kube("replace", "-f", "-", text=json.dumps(content))


@dataclass(frozen=True, slots=True)
class WrittenPod:
    """A training pod on a node that does not exist."""

    kube: Kube
    created: Json

    @classmethod
    def begin(
        cls, kube: Kube, namespace: str, name: str, workload: str, keys: Mapping[str, str] | None = None
    ) -> "WrittenPod":
        """Create it, and write that it has run for an hour. `workload` is an argument of its program."""
        manifest = a_training_pod(name, workload, keys)
        pod = cls(kube, kube.create_pod(namespace, {**manifest, "spec": {**manifest["spec"], "nodeName": _NODE}}))
        pod._write("Running", {"running": {"startedAt": _text(datetime.now(UTC) - _RAN)}})
        return pod

    def stop(self, seconds: int, exit_code: int) -> "WrittenPod":
        """Tell it to stop, and write that it ended so long after."""
        self.tell_to_stop()
        self.end(seconds, exit_code)
        return self

    def tell_to_stop(self) -> None:
        """Begin its deletion, by the Eviction API and with its own grace."""
        metadata = self.created["metadata"]
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {key: metadata[key] for key in ("name", "namespace")},
        }
        self.kube.api.post(f"{self._path}/eviction", eviction, timeout_seconds=CALL_SECONDS)

    def end(self, seconds: int, exit_code: int) -> None:
        """Write that its trainer ended so long after the signal."""
        told = self.kube.api.get(self._path, timeout_seconds=CALL_SECONDS)["metadata"]
        deadline = datetime.fromisoformat(told["deletionTimestamp"])
        start = deadline - timedelta(seconds=told["deletionGracePeriodSeconds"])
        ended = {
            "exitCode": exit_code,
            "reason": "Error" if exit_code else "Completed",
            "startedAt": _text(start - _RAN),
            "finishedAt": _text(start + timedelta(seconds=seconds)),
        }
        self._write("Failed" if exit_code else "Succeeded", {"terminated": ended})

    @property
    def _path(self) -> str:
        metadata = self.created["metadata"]
        return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"

    def _write(self, phase: str, state: Json) -> None:
        held = self.kube.api.get(self._path, timeout_seconds=CALL_SECONDS)
        [container] = held["spec"]["containers"]
        status = {
            "name": container["name"],
            "image": container["image"],
            "imageID": "",
            "ready": False,
            "restartCount": 0,
        }
        began = held["status"].get("startTime") or _text(datetime.now(UTC) - _RAN)
        held["status"] = {
            **held["status"],
            "phase": phase,
            "startTime": began,
            "containerStatuses": [{**status, "state": state}],
        }
        del held["metadata"]["resourceVersion"]
        self.kube.api.put(f"{self._path}/status", held, timeout_seconds=CALL_SECONDS)


def a_training_pod(name: str, workload: str, keys: Mapping[str, str] | None = None) -> Json:
    """A pod that is recognised, and of which nobody says how much it saves."""
    command = ("python", "train.py", "--model", workload)
    pod = pods.a_pod(name, annotations=keys, labels={"training.kubeflow.org/job-name": name}, command=command)
    del pod["spec"]["schedulingGates"]
    return {**pod, "spec": {**pod["spec"], "restartPolicy": "Never"}}


def next_grace_seconds(kube: Kube, namespace: str, workload: str) -> int:
    """The grace that the workload's next run would have; no pod is created."""
    path, pod = f"/api/v1/namespaces/{namespace}/pods", a_training_pod("next", workload)
    return pods.grace_seconds(kube.api.post(path, pod, query={"dryRun": "All"}, timeout_seconds=CALL_SECONDS))


def _text(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
