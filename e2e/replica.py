"""One pod of the webhook, spoken to from inside its own container: it can be asked while the API server is away."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tools.cluster.steps import run
from tools.kube import Json

_ASK = """
import ssl, sys, urllib.request
call = urllib.request.Request(sys.argv[1], sys.argv[2].encode() or None, {"Content-Type": "application/json"})
print(urllib.request.urlopen(call, timeout=10, context=ssl._create_unverified_context()).read().decode())
"""
_ANSWER_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Replica:
    """A pod's container on a node."""

    node: str
    container_id: str

    @classmethod
    def of(cls, pod: Mapping[str, Any]) -> "Replica":
        """The container of a running pod."""
        [status] = pod["status"]["containerStatuses"]
        return cls(pod["spec"]["nodeName"], status["containerID"].removeprefix("containerd://"))

    def review(self, namespace: str, pod: Mapping[str, Any]) -> Json:
        """The answer to the creation of a pod, as the API server would ask for it."""
        request = {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "operation": "CREATE",
            "namespace": namespace,
            "object": pod,
        }
        body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
        answer: Json = json.loads(self._ask("https://localhost:10250/mutate?timeout=3s", json.dumps(body)))
        return answer["response"]  # type: ignore[no-any-return]

    def metrics(self) -> dict[str, float]:
        """Every series of this pod."""
        lines = [line for line in self._ask("http://localhost:8080/metrics").splitlines() if not line.startswith("#")]
        return {series: float(value) for series, _, value in (line.rpartition(" ") for line in lines) if series}

    def peak_memory_mib(self) -> float:
        """The most that the server's process ever had in memory."""
        status = self._inside("cat", "/proc/1/status")
        [kibibytes] = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(kibibytes) / 1024

    def _ask(self, address: str, body: str = "") -> str:
        return self._inside("python", "-c", _ASK, address, body)

    def _inside(self, *command: str) -> str:
        enter = [
            "ctr",
            "--namespace=k8s.io",
            "tasks",
            "exec",
            f"--exec-id=e2e-{uuid.uuid4().hex[:8]}",
            self.container_id,
        ]
        return run(["docker", "exec", self.node, *enter, *command], timeout_seconds=_ANSWER_SECONDS)
