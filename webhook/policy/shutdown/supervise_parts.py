"""What a pod needs to run supervise: the volume with the binary, the init container that brings it, the wrapped command."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from webhook.policy.configuration import Supervise, SuperviseWithoutUser
from webhook.policy.pod import Container, Pod
from webhook.policy.pod.marks import (
    SUPERVISE_BINARY,
    SUPERVISE_FOLDER,
    SUPERVISE_INIT,
    SUPERVISE_VOLUME,
    UID_RANGE_ANNOTATION,
)
from webhook.policy.pod.metadata import JsonObject, annotations_of
from webhook.policy.shutdown.changes import FieldEdit


def supervise_in(namespace: JsonObject | None, supervise: Supervise) -> Supervise:
    """Return supervise as this namespace allows it. OpenShift refuses a user outside the range that it gave the namespace."""
    if UID_RANGE_ANNOTATION not in annotations_of(namespace):
        return supervise
    return SuperviseWithoutUser(**{each.name: getattr(supervise, each.name) for each in fields(supervise)})


def supervise_volume() -> JsonObject:
    """Return the emptyDir, in memory: the binary is 3 MB, the files are few bytes each."""
    return {"name": SUPERVISE_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}


def init_container(supervise: Supervise, requirements: Mapping[str, Any]) -> JsonObject:
    """Return the init container that copies the binary into the volume."""
    return {
        **own_container(SUPERVISE_INIT, supervise, requirements),
        "args": ["install"],
        "volumeMounts": [{"name": SUPERVISE_VOLUME, "mountPath": SUPERVISE_FOLDER}],
    }


def own_container(name: str, supervise: Supervise, requirements: Mapping[str, Any]) -> dict[str, Any]:
    """Return a container of gracekeeper's own; it passes Pod Security `restricted`."""
    context = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsGroup": supervise.user_id,
        "runAsNonRoot": True,
        "runAsUser": supervise.user_id,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return {
        "name": name,
        "image": supervise.image,
        "imagePullPolicy": "IfNotPresent",
        "resources": dict(requirements),
        "securityContext": {field: value for field, value in context.items() if value is not None},
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
    mount = {"name": SUPERVISE_VOLUME, "mountPath": f"{SUPERVISE_FOLDER}/{folder}", "subPath": folder}
    return mount if writable else {**mount, "readOnly": True}


def pull_secrets(pod: Pod, supervise: Supervise) -> dict[str, tuple[JsonObject, ...]]:
    """Return the configured pull secret as a list to append to, where the pod does not have it."""
    if not supervise.image_pull_secret or supervise.image_pull_secret in pod.image_pull_secrets:
        return {}
    return {"imagePullSecrets": ({"name": supervise.image_pull_secret},)}
