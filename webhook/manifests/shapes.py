"""The shape of what a decision is made from: the fields that are read of a pod and of the objects around it.

Law: the API server decodes each field as what it is, and refuses the rest; so does this, in one line that names the field.
"""

from collections.abc import Mapping
from typing import Any

from webhook.manifests.text import BadManifestError, kind_of_value
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
    "volumeMounts": [{"name!": str, "mountPath": str, "readOnly": bool}],
}
_VOLUME = {
    "name!": str,
    "emptyDir": _MAP,
    "persistentVolumeClaim": {"claimName": str, "readOnly": bool},
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
_POD = {
    "metadata": _METADATA,  # labels, annotations and env have lines of their own
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
    },
}
_LIMIT = dict.fromkeys(("min", "max", "default", "defaultRequest", "maxLimitRequestRatio"), _AMOUNTS)
_SPECS: Mapping[str, Any] = {
    "PersistentVolumeClaim": _CLAIM,
    "PersistentVolume": {"capacity": _AMOUNTS},
    "LimitRange": {"limits": [{"type": str, **_LIMIT}]},
    "ResourceQuota": {"hard": _AMOUNTS},
    "Job": {"completionMode": str, "completions": int, "parallelism": int},
    "Node": {"unschedulable": bool},
}
_OF_ALL = {
    "apiVersion": str,
    "kind": str,
    "metadata": {**_METADATA, "labels": _LABELS, "annotations": _LABELS},
    "parameters": _PARAMETERS,
}


def refuse_misshapen_pod(pod: JsonObject, where: str) -> None:
    """BadManifestError where a field that is read of a pod is not what it is in Kubernetes."""
    _refuse(pod, _POD, where, "")


def refuse_misshapen_object(document: JsonObject, where: str) -> None:
    """The same for an object that a pod refers to, or that makes it."""
    _refuse(document, {**_OF_ALL, "spec": _SPECS.get(str(document.get("kind")), {})}, where, "")


def mapping(holder: JsonObject, field: str, where: str, above: str = "") -> dict[str, Any]:
    """The object in a field, empty where there is none; BadManifestError where it is something else."""
    value = holder.get(field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadManifestError(f"{where}: {above}{field} is {kind_of_value(value)}, not an object")
    return value


def _refuse(value: Any, shape: Any, where: str, path: str) -> None:
    if isinstance(shape, Mapping):
        _expect(value, (dict,), where, path)
        for name, of_field in shape.items():
            _refuse_fields(value, name, of_field, where, path)
    elif isinstance(shape, list):
        _expect(value, (list,), where, path)
        for index, each in enumerate(value):
            _refuse(each, shape[0], where, f"{path}[{index}]")
    else:
        _expect(value, shape if isinstance(shape, tuple) else (shape,), where, path)


def _refuse_fields(value: Mapping[str, Any], name: str, shape: Any, where: str, path: str) -> None:
    needed, name = name.endswith(_NEEDED), name.removesuffix(_NEEDED)
    for key in value if name == _EACH else (name,):
        inner = f"{path}.{key}" if path else str(key)
        if value.get(key) is not None or (needed and key in value):
            _refuse(value[key], shape, where, inner)
        elif needed:
            raise BadManifestError(f"{where}: {inner} is missing")


def _expect(value: Any, kinds: tuple[type, ...], where: str, path: str) -> None:
    if type(value) not in kinds:  # a boolean is no number
        wanted = kind_of_value(kinds[0]())
        raise BadManifestError(f"{where}: {path or 'it'} is {kind_of_value(value)}, not {wanted}")
