"""What a pod needs to run supervise: the volume with the binary, the init container that brings it, the wrapped command."""

from collections.abc import Mapping
from typing import Any

from webhook.policy.configuration import Supervise
from webhook.policy.pod import Container, Pod
from webhook.policy.pod.marks import SUPERVISE_BINARY
from webhook.policy.pod.metadata import JsonObject
from webhook.policy.shutdown.changes import FieldEdit

VOLUME = "gracekeeper"
FOLDER = "/gracekeeper"
INIT = "gracekeeper-init"
GATE = "gracekeeper-gate"
_UID = 65532


def supervise_volume() -> JsonObject:
    """Return the emptyDir, in memory: the binary is 3 MB, the files are few bytes each."""
    return {"name": VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}


def init_container(supervise: Supervise, requirements: Mapping[str, Any]) -> JsonObject:
    """Return the init container that copies the binary into the volume."""
    return {
        **own_container(INIT, supervise, requirements),
        "args": ["install"],
        "volumeMounts": [{"name": VOLUME, "mountPath": FOLDER}],
    }


def own_container(name: str, supervise: Supervise, requirements: Mapping[str, Any]) -> dict[str, Any]:
    """Return a container of gracekeeper's own; it passes Pod Security `restricted`."""
    return {
        "name": name,
        "image": supervise.image,
        "imagePullPolicy": "IfNotPresent",
        "resources": dict(requirements),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsGroup": _UID,
            "runAsNonRoot": True,
            "runAsUser": _UID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def wrapped(container: Container, options: list[str], mounts: list[JsonObject]) -> tuple[FieldEdit, ...]:
    """Return the edits that start the container through `supervise OPTIONS --`, with the mounts that this needs."""
    command = [SUPERVISE_BINARY, *options, "--", *(container.manifest.get("command") or ())]
    all_mounts = [*(container.manifest.get("volumeMounts") or ()), *mounts]
    return (
        FieldEdit(container.position, container.name, "command", command),
        FieldEdit(container.position, container.name, "volumeMounts", all_mounts),
    )


def mount_of(folder: str, *, writable: bool = False) -> JsonObject:
    """Return the mount of one folder of the volume."""
    mount = {"name": VOLUME, "mountPath": f"{FOLDER}/{folder}", "subPath": folder}
    return mount if writable else {**mount, "readOnly": True}


def pull_secrets(pod: Pod, supervise: Supervise) -> dict[str, tuple[JsonObject, ...]]:
    """Return the configured pull secret as a list to append to, where the pod does not have it."""
    if not supervise.image_pull_secret or supervise.image_pull_secret in pod.image_pull_secrets:
        return {}
    return {"imagePullSecrets": ({"name": supervise.image_pull_secret},)}
