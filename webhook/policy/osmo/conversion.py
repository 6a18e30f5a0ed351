"""What is changed in an OSMO task pod so that its checkpoint and its upload are finished.

osmo-init stays; gracekeeper-init brings the binary; osmo-ctrl runs under `supervise hold`, the user's container under
`supervise forward`; in native mode osmo-ctrl becomes a native sidecar, appended last, as it needs what the others bring,
and the gate takes its place among the regular containers: it keeps the
pod alive until the upload has ended, and its exit code carries the upload's result into the pod's phase.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from webhook.policy.config import InterruptedCode, Osmo, OsmoMode
from webhook.policy.facts import Facts, JsonObject
from webhook.policy.grace import Split
from webhook.policy.osmo import resources
from webhook.policy.osmo.task import SUPERVISE, Place, Task, uploader

VOLUME = "gracekeeper"
INIT = "gracekeeper-init"
GATE = "gracekeeper-gate"
_FOLDER = "/gracekeeper"
_UID = 65532
_LOST_IN_A_SIDECAR = ("restartPolicy", "restartPolicyRules", "resizePolicy")
"""Fields that an init container must not have or that mean something else there."""


@dataclass(frozen=True, slots=True)
class FieldEdit:
    """A field of a container that gets a new value."""

    place: Place
    field: str
    value: Any


@dataclass(frozen=True, slots=True)
class Conversion:
    """Changes of a pod's spec, all by the positions of the pod that came in; removed last, from the end."""

    edits: tuple[FieldEdit, ...] = ()
    replaced: Mapping[Place, JsonObject] = field(default_factory=dict)
    removed: tuple[Place, ...] = ()
    appended: Mapping[str, tuple[JsonObject, ...]] = field(default_factory=dict)
    """New members of lists of the spec, by the list's name."""


def conversion(task: Task, mode: OsmoMode, split: Split, osmo: Osmo, facts: Facts) -> Conversion:
    """The changes for a pod that is to be converted; `task.user` is there."""
    pod, osmo_ctrl = task.pod, uploader(task)
    native = mode is OsmoMode.NATIVE
    user: Place = ("containers", task.user or 0)
    edits = _wrapped(pod, user, _forward(split), _mounts(writable="task"))
    held = {
        **osmo_ctrl,
        "command": [*_hold(split, osmo, native=native), *osmo_ctrl.get("command", ())],
        "volumeMounts": [*osmo_ctrl.get("volumeMounts", ()), *_mounts(writable="hold")],
    }
    regular = [place for place in task.uploaders if place[0] == "containers"]
    removed = tuple(place for place in task.uploaders if place[0] == "initContainers")
    init = [_init(osmo, resources.of_init(pod, facts))]
    if native:
        last = _gate(osmo, resources.of_gate(pod, osmo_ctrl, facts))
        init.append(_sidecar(held, osmo_ctrl))
    else:
        last = {name: value for name, value in held.items() if name != "restartPolicy"}
    appended: dict[str, tuple[JsonObject, ...]] = {"initContainers": tuple(init), "volumes": (_volume(),)}
    if not regular:
        appended["containers"] = (last,)
    secrets = (pod.get("spec") or {}).get("imagePullSecrets") or ()
    if osmo.image_pull_secret and osmo.image_pull_secret not in [secret.get("name") for secret in secrets]:
        appended["imagePullSecrets"] = ({"name": osmo.image_pull_secret},)
    return Conversion(edits, dict.fromkeys(regular, last), removed, appended)


def _wrapped(pod: JsonObject, place: Place, wrapper: list[str], mounts: list[JsonObject]) -> tuple[FieldEdit, ...]:
    container = pod["spec"][place[0]][place[1]]
    return (
        FieldEdit(place, "command", [*wrapper, *(container.get("command") or ())]),
        FieldEdit(place, "volumeMounts", [*(container.get("volumeMounts") or ()), *mounts]),
    )


def _forward(split: Split) -> list[str]:
    return [
        *(SUPERVISE, "forward", "--below", "--limit", str(split.limit_seconds)),
        *("--interrupted-code", str(int(InterruptedCode.SIGTERM)), "--"),
    ]


def _hold(split: Split, osmo: Osmo, *, native: bool) -> list[str]:
    """With the code of today, 2001, hold ends with 1 once the data is safe: OSMO adds 2000 to osmo-ctrl's codes."""
    interrupted = osmo.interrupted_code - 2000 if osmo.interrupted_code is InterruptedCode.AS_TODAY else None
    return [
        *(SUPERVISE, "hold"),
        *(["--sidecar"] if native else []),
        *("--grace", str(split.grace_seconds)),
        *([] if interrupted is None else ["--interrupted-code", str(interrupted)]),
        "--",
    ]


def _init(osmo: Osmo, requirements: Mapping[str, Any]) -> JsonObject:
    return {
        **_ours(INIT, osmo, requirements),
        "args": ["install"],
        "volumeMounts": [{"name": VOLUME, "mountPath": _FOLDER}],
    }


def _gate(osmo: Osmo, requirements: Mapping[str, Any]) -> JsonObject:
    return {
        **_ours(GATE, osmo, requirements),
        "command": [SUPERVISE, "gate"],
        "volumeMounts": _mounts(writable="task"),
    }


def _sidecar(held: Mapping[str, Any], osmo_ctrl: JsonObject) -> JsonObject:
    kept = {name: value for name, value in held.items() if name not in _LOST_IN_A_SIDECAR}
    return {**kept, "restartPolicy": "Always", "resources": resources.of_sidecar(osmo_ctrl)}


def _ours(name: str, osmo: Osmo, requirements: Mapping[str, Any]) -> dict[str, Any]:
    """A container of gracekeeper's own; it passes Pod Security `restricted`."""
    return {
        "name": name,
        "image": osmo.image,
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


def _volume() -> JsonObject:
    return {"name": VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}


def _mounts(*, writable: str) -> list[JsonObject]:
    """The folder in three: whoever could write `bin` or `hold` could have the sidecar run its own code."""
    return [
        {"name": VOLUME, "mountPath": f"{_FOLDER}/{folder}", "subPath": folder}
        | ({} if folder == writable else {"readOnly": True})
        for folder in ("bin", "hold", "task")
    ]
