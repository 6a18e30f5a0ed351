"""Trainers behind a shell that save when they are told, and what their ends tell.

A trainer's termination message names the checkpoint that its script sees after the trainer's end.
"""

from functools import partial
from typing import Any

from tools.kube import Json, Kube, eventually

SCRIPT = "python3 -u /trainer.py; ls /checkpoints >> /dev/termination-log"
WRAPPED = {"grace-seconds": "40", "forward-sigterm": "true"}
LEFT_ALONE = {"gracekeeper.dev/enabled": "false"}
GRACE_SECONDS_WITHOUT = 15
SAVE_SECONDS = "3"
FINALIZER = "example.com/keep"
"""Keeps the object of a pod whose containers have ended."""
OVER_SECONDS = 180


def a_trainer(
    name: str,
    image: str,
    *,
    wrapped: bool,
    command: tuple[str, ...] = ("sh", "-c", SCRIPT),
    cpu: str = "100m",
    **fields: Any,
) -> Json:
    """A pod that runs, and that passes Pod Security `restricted` unless its fields forbid that."""
    requests = {"cpu": cpu, "memory": "64Mi"}
    container = {
        "name": "trainer",
        "image": image,
        "imagePullPolicy": "Never",
        "command": list(command),
        "env": [{"name": "SAVE_SECONDS", "value": SAVE_SECONDS}],
        "resources": {"requests": requests, "limits": requests},
        "volumeMounts": [{"name": "checkpoints", "mountPath": "/checkpoints"}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    metadata: Json = {"name": name, "finalizers": [FINALIZER]}
    if wrapped:
        metadata["annotations"] = {f"gracekeeper.dev/{key}": value for key, value in WRAPPED.items()}
    else:
        metadata["labels"] = LEFT_ALONE
    spec = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE_SECONDS_WITHOUT,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "checkpoints", "emptyDir": {}}],
        **fields,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


class Ended:
    """Pods that are told to end, and kept until their ends have been read."""

    def __init__(self, kube: Kube) -> None:
        self.kube = kube
        self.made: list[tuple[str, str]] = []

    def start(self, namespace: str, pod: Json) -> Json:
        """Create a pod; the result is as the API server made it."""
        self.made.append((namespace, pod["metadata"]["name"]))
        return self.kube.create_pod(namespace, pod)

    def wait_until_all_train(self) -> None:
        """Wait until each pod has said so."""
        for namespace, name in self.made:
            log = ["logs", name, f"-n{namespace}"]
            eventually(partial(self._prints, "training", log), f"{name} trains", OVER_SECONDS)

    def _prints(self, text: str, log: list[str]) -> bool:
        return text in self.kube(*log)

    def end(self, *names: str) -> dict[str, tuple[int, str]]:
        """Exit code and termination message of each of these pods, after they were deleted."""
        chosen = [(namespace, name) for namespace, name in self.made if not names or name in names]
        for namespace, name in chosen:
            self.kube("delete", "pod", name, f"-n{namespace}", "--wait=false")
        return {name: self._end_of(namespace, name) for namespace, name in chosen}

    def _end_of(self, namespace: str, name: str) -> tuple[int, str]:
        def terminated() -> Json | None:
            [status] = self.kube.get("pod", name, namespace)["status"]["containerStatuses"]
            state: Json | None = status["state"].get("terminated")
            return state

        state = eventually(terminated, f"the end of {name}", OVER_SECONDS)
        return state["exitCode"], state.get("message", "")

    def forget(self) -> None:
        """Let the objects of all pods go."""
        for namespace, name in self.made:
            if self.kube.exists("pod", name, namespace):
                self.kube("patch", "pod", name, f"-n{namespace}", "-p", '{"metadata":{"finalizers":null}}')


def dry_run(kube: Kube, namespace: str, pod: Json) -> Json:
    """The pod as it would be created."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    return kube.api.post(path, pod, query={"dryRun": "All"}, timeout_seconds=30)


def is_wrapped(pod: Json) -> bool:
    return "forward" in pod["spec"]["containers"][0]["command"]
