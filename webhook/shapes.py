"""The shape of what a decision is made from: the fields that are read of a pod and of the objects around it.

Law: the API server decodes each field as what it is, and refuses the rest; so does this, in one line that names the field.
"""

from collections.abc import Mapping
from typing import Any

from webhook.policy.pod.metadata import JsonObject

_EACH = "*"
"""In a shape: every field of a map."""
_NEEDED = "!"
"""In a shape, after a field's name: it has to be there, and is not null."""
_AMOUNT = (str, int, float)
_MAP: Mapping[str, Any] = {}
_LABELS = {_EACH: str}
_AMOUNTS = {_EACH: _AMOUNT}
_PARAMETERS = {_EACH: (str, int, float, bool)}
_RESOURCES = {"limits": _AMOUNTS, "requests": _AMOUNTS}
_CLAIM = {
    "storageClassName": str,
    "volumeName": str,
    "volumeAttributesClassName": str,
    "accessModes": [str],
    "resources": _RESOURCES,
}
_REFERENCE = {"name": str}
_HOOK = {"exec": _MAP, "httpGet": _MAP, "tcpSocket": _MAP, "sleep": {"seconds": int}}
_CONTAINER = {
    "name": str,
    "image": str,
    "command": [str],
    "args": [str],
    "workingDir": str,
    "restartPolicy": str,
    "resources": _RESOURCES,
    "lifecycle": {"preStop": _HOOK},
    "securityContext": _MAP,
    "readinessProbe": {"httpGet": {"path": str}, "tcpSocket": _MAP, "grpc": _MAP},
    "volumeMounts": [{"name!": str, "mountPath": str, "readOnly": bool}],
    "envFrom": [{"configMapRef": _REFERENCE}],
}
_VOLUME = {
    "name!": str,
    "configMap": _REFERENCE,
    "projected": {"sources": [{"configMap": _REFERENCE}]},
    "emptyDir": {"medium": str, "sizeLimit": _AMOUNT},
    "persistentVolumeClaim": {"claimName": str, "readOnly": bool},
    "csi": {"driver": str, "readOnly": bool, "volumeAttributes": {_EACH: str}},
    "hostPath": {"path": str},
    "ephemeral": {"volumeClaimTemplate": {"metadata": {"labels": _LABELS, "annotations": _LABELS}, "spec": _CLAIM}},
}
_NODE_TERM = {"matchExpressions": [{"key": str, "operator": str, "values": [str]}]}
_REQUIRED_NODES = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [_NODE_TERM]}}
_METADATA = {
    "name": str,
    "generateName": str,
    "namespace": str,
    "ownerReferences": [{"apiVersion!": str, "kind!": str, "name": str, "controller": bool}],
}
_POD: Mapping[str, Any] = {
    "metadata": _METADATA,  # in a file labels, annotations and env have lines of their own
    "spec": {
        "containers": [_CONTAINER],
        "initContainers": [_CONTAINER],
        "volumes": [_VOLUME],
        "nodeSelector": {"*!": str},
        "affinity": {"nodeAffinity": _REQUIRED_NODES},
        "securityContext": _MAP,
        "imagePullSecrets": [{"name": str}],
        "resourceClaims": [{"name": str}],
        "resources": _RESOURCES,
        "os": {"name": str},
        "runtimeClassName": str,
    },
}
_WHOLE_CONTAINER = {**_CONTAINER, "env": [{"name!": str, "value": str, "valueFrom": {"configMapKeyRef": _REFERENCE}}]}
_WHOLE_POD = {
    "metadata": {**_METADATA, "labels": _LABELS, "annotations": _LABELS},
    "spec": {
        **_POD["spec"],
        "containers": [_WHOLE_CONTAINER],
        "initContainers": [_WHOLE_CONTAINER],
        "terminationGracePeriodSeconds": int,
    },
}
_PRE_PULLING_POD = {
    "nodeSelector": {"*!": str},
    "containers": [{"image": str}],
    "tolerations": [{"key": str, "operator": str, "effect": str}],
    "imagePullSecrets": [{"name": str}],
}
_LIMIT = dict.fromkeys(("min", "max", "default", "defaultRequest", "maxLimitRequestRatio"), _AMOUNTS)
_SPECS: Mapping[str, Any] = {
    "PersistentVolumeClaim": _CLAIM,
    "PersistentVolume": {"capacity": _AMOUNTS},
    "LimitRange": {"limits": [{"type": str, **_LIMIT}]},
    "ResourceQuota": {"hard": _AMOUNTS},
    "Job": {"completionMode": str, "completions": int, "parallelism": int},
    "Node": {"unschedulable": bool},
    "DaemonSet": {"template": {"spec": _PRE_PULLING_POD}},
}
_STATUSES: Mapping[str, Any] = {"DaemonSet": {"numberReady": int}}
_OF_ALL = {
    "apiVersion": str,
    "kind": str,
    "metadata": {**_METADATA, "labels": _LABELS, "annotations": _LABELS},
    "parameters": _PARAMETERS,
}


class MisshapenError(Exception):
    """A field is not what it is in Kubernetes; the message names it, what it is and what it has to be."""


def check_pod_of_file(pod: JsonObject) -> None:
    """MisshapenError where a field that is read of a pod is not what it is in Kubernetes."""
    _check(pod, _POD, "")


def check_pod(pod: JsonObject) -> None:
    """The same, labels, annotations, environment and grace included."""
    _check(pod, _WHOLE_POD, "")


def check_object(document: JsonObject) -> None:
    """The same for an object that a pod refers to, or that makes it."""
    kind = str(document.get("kind"))
    _check(document, {**_OF_ALL, "spec": _SPECS.get(kind, {}), "status": _STATUSES.get(kind, {})}, "")


def kind_of_value(value: Any) -> str:
    """What a value is, in words."""
    if value is None:
        return "null"
    kinds = {bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}
    return kinds.get(type(value), f"a {type(value).__name__}")


def _check(value: Any, shape: Any, path: str) -> None:
    if isinstance(shape, Mapping):
        _expect(value, (dict,), path)
        for name, of_field in shape.items():
            _check_fields(value, name, of_field, path)
    elif isinstance(shape, list):
        _expect(value, (list,), path)
        for index, each in enumerate(value):
            _check(each, shape[0], f"{path}[{index}]")
    else:
        _expect(value, shape if isinstance(shape, tuple) else (shape,), path)


def _check_fields(value: Mapping[str, Any], name: str, shape: Any, path: str) -> None:
    needed, name = name.endswith(_NEEDED), name.removesuffix(_NEEDED)
    for key in value if name == _EACH else (name,):
        inner = f"{path}.{key}" if path else str(key)
        if value.get(key) is not None or (needed and key in value):
            _check(value[key], shape, inner)
        elif needed:
            raise MisshapenError(f"{inner} is missing")


def _expect(value: Any, kinds: tuple[type, ...], path: str) -> None:
    if type(value) not in kinds:  # a boolean is no number
        raise MisshapenError(f"{path or 'it'} is {kind_of_value(value)}, not {kind_of_value(kinds[0]())}")
