"""Pods that the tests and the demo create."""

import json
from collections.abc import Mapping
from typing import Any

from e2e.kube import Json
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
    found: Json = json.loads(pod["metadata"]["annotations"][DECISION_ANNOTATION])
    return found


def missing(pod: Mapping[str, Any]) -> list[str]:
    """What the decision on a pod had to do without."""
    found: list[str] = decision(pod).get("missing", [])
    return found


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


def a_claim(name: str, namespace: str, storage_class_name: str, volume_name: str | None = None) -> Json:
    """A claim, bound to a certain volume where one is named."""
    spec: Json = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": storage_class_name,
        "resources": {"requests": {"storage": "100Gi"}},
    }
    if volume_name:
        spec["volumeName"] = volume_name
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def a_host_path_volume(name: str, folder: str, annotations: Mapping[str, str] | None = None) -> Json:
    """A static volume in a folder of the node that its pod runs on; kept when its claim goes."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": dict(annotations or {})},
        "spec": {
            "capacity": {"storage": "100Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "by-hand",
            "hostPath": {"path": folder, "type": "DirectoryOrCreate"},
        },
    }


def a_trainer(name: str, image: str, claim: str, node: str, **metadata: Mapping[str, str]) -> Json:
    """A real training pod: saves for 45 s when it is told to stop (e2e/trainer)."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **{key: dict(value) for key, value in metadata.items()}},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": node},
            "restartPolicy": "Never",
            "containers": [
                {
                    "name": "trainer",
                    "image": image,
                    "imagePullPolicy": "Never",
                    "env": [{"name": "CHECKPOINT_DIR", "value": "/checkpoints"}],
                    "volumeMounts": [{"name": "checkpoints", "mountPath": "/checkpoints"}],
                }
            ],
            "volumes": [{"name": "checkpoints", "persistentVolumeClaim": {"claimName": claim}}],
        },
    }
