"""The probe: a training pod that the API server is shown in a dry run, and what it made of that pod.

Law: nothing is stored, and the pod is as small as Pod Security's `restricted` allows. The gatherer shows it and keeps the
answer as an object of kind `ProbeAnswer`; what the answer means is for checks.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from webhook.policy.pod.metadata import JsonObject, metadata_of
from webhook.policy.prefix import PREFIX

KIND = "ProbeAnswer"
GRACE_SECONDS = 601
"""What the pod has when it is shown. Nobody else uses this number, so that it is known again."""
STATED_SECONDS = 902
"""What its annotation asks gracekeeper for."""
SIDECAR = "sidecar"
_LABELS = {"training.kubeflow.org/job-name": "gracekeeper-doctor"}
_ANNOTATIONS = {PREFIX + "grace-seconds": str(STATED_SECONDS)}
_ANY_IMAGE = "gracekeeper"
"""A dry run pulls no image. It is only for namespaces without a pod whose image would be allowed for sure."""


@dataclass(frozen=True, slots=True)
class PodRefusal:
    """Why the API server did not take the pod."""

    status: int
    """The HTTP status; 0 where no answer came."""
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """What the API server made of the pod in one namespace."""

    namespace: str
    shown: JsonObject
    """The pod as it was shown, without the sidecar where it was refused with it."""
    pod: JsonObject | None
    """The pod as it would have been created; None where none would."""
    refusal: PodRefusal | None
    """Why it was not taken. Beside a pod: why it was not taken with the sidecar."""
    owners_pod: JsonObject | None = None
    """The same pod without a word for gracekeeper, as it would have been created: its owner chose the grace. None: not known."""


def probe_pod(image: str, *, has_sidecar: bool = True, asks: bool = True) -> dict[str, Any]:
    """Return the pod to show. It asks gracekeeper for a grace, or keeps what its owner chose."""
    amounts = {"cpu": "10m", "memory": "16Mi"}
    container = {
        "image": image,
        "resources": {"requests": amounts, "limits": amounts},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec: dict[str, Any] = {
        "containers": [{**container, "name": "main"}],
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    if has_sidecar:
        spec["initContainers"] = [{**container, "name": SIDECAR, "restartPolicy": "Always"}]
    metadata: dict[str, Any] = {"generateName": "gracekeeper-doctor-", "labels": _LABELS}
    if asks:
        metadata["annotations"] = _ANNOTATIONS
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def image_for(namespace: str, pods: Iterable[JsonObject]) -> str:
    """Return an image that the policies of a namespace allow: that of a pod which is there."""
    for pod in pods:
        if metadata_of(pod).get("namespace") == namespace:
            for container in (pod.get("spec") or {}).get("containers") or ():
                if isinstance(container.get("image"), str):
                    return str(container["image"])
    return _ANY_IMAGE


def answer_object(
    namespace: str,
    shown: JsonObject,
    pod: JsonObject | None,
    refusal: PodRefusal | None,
    owners_pod: JsonObject | None = None,
) -> dict[str, Any]:
    """Return the answer as an object of its own kind, as the gatherer keeps it."""
    return {
        "kind": KIND,
        "metadata": {"name": "probe", "namespace": namespace},
        "shown": shown,
        "pod": pod,
        "ownersPod": owners_pod,
        "refusal": None
        if refusal is None
        else {"status": refusal.status, "reason": refusal.reason, "message": refusal.message},
    }


def read_probe(answer: JsonObject) -> ProbeAnswer:
    """Return the answer that an object of kind ProbeAnswer holds."""
    refusal = answer.get("refusal")
    return ProbeAnswer(
        str(metadata_of(answer).get("namespace", "")),
        answer.get("shown") or {},
        answer.get("pod"),
        None if refusal is None else PodRefusal(refusal["status"], refusal["reason"], refusal["message"]),
        answer.get("ownersPod"),
    )
