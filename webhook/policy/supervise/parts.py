"""The pieces: the volume with the binary, the init container that brings it, the wrapped command."""

from collections.abc import Mapping
from typing import Any

from webhook.policy.config import Supervise
from webhook.policy.facts import JsonObject
from webhook.policy.supervise.change import FieldEdit, Place

BINARY = "/gracekeeper/bin/supervise"
"""Where `supervise install` puts it."""
VOLUME = "gracekeeper"
FOLDER = "/gracekeeper"
INIT = "gracekeeper-init"
GATE = "gracekeeper-gate"
_UID = 65532


def volume() -> JsonObject:
    """In memory: the binary is 3 MB, the files are few bytes each."""
    return {"name": VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}


def init(supervise: Supervise, requirements: Mapping[str, Any]) -> JsonObject:
    """The init container that copies the binary into the volume."""
    return {
        **container(INIT, supervise, requirements),
        "args": ["install"],
        "volumeMounts": [{"name": VOLUME, "mountPath": FOLDER}],
    }


def container(name: str, supervise: Supervise, requirements: Mapping[str, Any]) -> dict[str, Any]:
    """A container of gracekeeper's own; it passes Pod Security `restricted`."""
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


def wrapped(pod: JsonObject, place: Place, wrapper: list[str], mounts: list[JsonObject]) -> tuple[FieldEdit, ...]:
    """The container's command behind the wrapper's words, and the mounts that this needs."""
    found = pod["spec"][place[0]][place[1]]
    return (
        FieldEdit(place, "command", [*wrapper, *(found.get("command") or ())]),
        FieldEdit(place, "volumeMounts", [*(found.get("volumeMounts") or ()), *mounts]),
    )


def mount(folder: str, *, writable: bool = False) -> JsonObject:
    """One part of the volume."""
    found = {"name": VOLUME, "mountPath": f"{FOLDER}/{folder}", "subPath": folder}
    return found if writable else {**found, "readOnly": True}


def pull_secrets(pod: JsonObject, supervise: Supervise) -> dict[str, tuple[JsonObject, ...]]:
    """The configured pull secret, where the pod does not list it."""
    listed = [secret.get("name") for secret in (pod.get("spec") or {}).get("imagePullSecrets") or ()]
    if not supervise.image_pull_secret or supervise.image_pull_secret in listed:
        return {}
    return {"imagePullSecrets": ({"name": supervise.image_pull_secret},)}
