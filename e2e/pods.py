"""Pods that the tests create, what gracekeeper wrote on them, and StorageClasses."""

import json
from collections.abc import Mapping
from typing import Any

from tools.kube import Json
from webhook.policy.prefix import DECISION_ANNOTATION, PREFIX

PAUSE_IMAGE = "registry.k8s.io/pause:3.10"


def a_pod(
    name: str = "",
    *,
    annotations: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    command: tuple[str, ...] = ("python", "train.py"),
    claim: str | None = None,
) -> Json:
    """A pod that is decided on and never runs: a scheduling gate holds it back."""
    metadata: Json = {"name": name} if name else {"generateName": "train-"}
    metadata["annotations"] = {PREFIX + key: value for key, value in (annotations or {}).items()}
    metadata["labels"] = dict(labels or {})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "schedulingGates": [{"name": "example.com/never"}],
            "containers": [
                {
                    "name": "trainer",
                    "image": PAUSE_IMAGE,
                    "command": list(command),
                    "volumeMounts": [{"name": "checkpoints", "mountPath": "/checkpoints"}] if claim else [],
                }
            ],
            "volumes": [{"name": "checkpoints", "persistentVolumeClaim": {"claimName": claim}}] if claim else [],
        },
    }


def grace_seconds(pod: Mapping[str, Any]) -> int:
    """The grace that the pod was created with."""
    seconds: int = pod["spec"]["terminationGracePeriodSeconds"]
    return seconds


def is_patched(pod: Mapping[str, Any]) -> bool:
    """Whether gracekeeper wrote its decision on the pod."""
    return DECISION_ANNOTATION in (pod["metadata"].get("annotations") or {})


def decision(pod: Mapping[str, Any]) -> Json:
    """What gracekeeper wrote on the pod; an assertion where it wrote nothing."""
    assert is_patched(pod), "not patched"
    decision_json: Json = json.loads(pod["metadata"]["annotations"][DECISION_ANNOTATION])
    return decision_json


def missing(pod: Mapping[str, Any]) -> list[str]:
    """What the decision on a pod had to do without."""
    facts: list[str] = decision(pod).get("missing", [])
    return facts


def storage_class(name: str, provisioner: str, **parameters: str) -> Json:
    """A StorageClass whose driver need not be there."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": provisioner,
        "parameters": parameters,
        "volumeBindingMode": "WaitForFirstConsumer",
    }
