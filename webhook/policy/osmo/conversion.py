"""What is changed in an OSMO task pod so that its checkpoint and its upload are finished.

osmo-init stays. gracekeeper-init brings the binary. osmo-ctrl runs under `supervise hold`, the user's container under
`supervise forward`. In native mode osmo-ctrl becomes a native sidecar, appended last, as it needs what the others bring,
and the gate takes its place among the regular containers: the gate keeps the pod alive until the upload has ended, and its
exit code carries the upload's result into the pod's phase.
"""

from collections.abc import Mapping
from typing import Any

from webhook.policy.configuration import Config, InterruptedCode, OsmoMode, Supervise
from webhook.policy.facts import Facts
from webhook.policy.osmo import sidecar_resources
from webhook.policy.osmo.split import Split
from webhook.policy.pod import Pod
from webhook.policy.pod.marks import SUPERVISE_BINARY
from webhook.policy.pod.metadata import JsonObject
from webhook.policy.shutdown import supervise_parts as parts
from webhook.policy.shutdown.changes import SpecChanges
from webhook.policy.shutdown.requirements import requirements_of_added

_LOST_IN_A_SIDECAR = ("restartPolicy", "restartPolicyRules", "resizePolicy")
"""Fields that an init container must not have or that mean something else there."""


def conversion_of(pod: Pod, mode: OsmoMode, split: Split, config: Config, facts: Facts) -> SpecChanges | None:
    """Return the changes for an OSMO task's pod whose trainer runs the user's command; None where it was converted before."""
    task = pod.osmo_task
    if task is None or task.converted:
        return None
    osmo_ctrl = task.uploader
    native = mode is OsmoMode.NATIVE
    held = {
        **osmo_ctrl,
        "command": [*_hold(split, config, native=native), *osmo_ctrl.get("command", ())],
        "volumeMounts": [*osmo_ctrl.get("volumeMounts", ()), *_mounts(writable="hold")],
    }
    regular = [uploader.position for uploader in task.uploaders if uploader.position.group == "containers"]
    removed = tuple(uploader.position for uploader in task.uploaders if uploader.position.group == "initContainers")
    init = [parts.init_container(config.supervise, requirements_of_added(pod, facts))]
    if native:
        last = _gate(config.supervise, sidecar_resources.resources_of_gate(pod, osmo_ctrl, facts))
        init.append(_sidecar(held, osmo_ctrl))
    else:
        last = {name: value for name, value in held.items() if name != "restartPolicy"}
    appended = {
        "initContainers": tuple(init),
        "volumes": (parts.supervise_volume(),),
        **({} if regular else {"containers": (last,)}),
        **parts.pull_secrets(pod, config.supervise),
    }
    edits = parts.wrapped(pod.trainer, _forward(split), _mounts(writable="task"))
    return SpecChanges(edits, dict.fromkeys(regular, last), removed, appended)


def _forward(split: Split) -> list[str]:
    code = str(int(InterruptedCode.SIGTERM))
    return ["forward", "--below", "--limit", str(split.limit_seconds), "--interrupted-code", code]


def _hold(split: Split, config: Config, *, native: bool) -> list[str]:
    """Return the words before osmo-ctrl's own. OSMO reports the exit code plus 2000, so 1 keeps reporting 2001."""
    code = config.osmo.interrupted_code
    return [
        *(SUPERVISE_BINARY, "hold"),
        *(["--sidecar"] if native else []),
        *("--grace", str(split.grace_seconds)),
        *(["--interrupted-code", str(code - 2000)] if code is InterruptedCode.AS_TODAY else []),
        "--",
    ]


def _gate(supervise: Supervise, requirements: Mapping[str, Any]) -> JsonObject:
    return {
        **parts.own_container(parts.GATE, supervise, requirements),
        "command": [SUPERVISE_BINARY, "gate"],
        "volumeMounts": _mounts(writable="task"),
    }


def _sidecar(held: Mapping[str, Any], osmo_ctrl: JsonObject) -> JsonObject:
    fields = {name: value for name, value in held.items() if name not in _LOST_IN_A_SIDECAR}
    resources = sidecar_resources.resources_of_sidecar(osmo_ctrl)
    return {**fields, "restartPolicy": "Always", "resources": resources}


def _mounts(*, writable: str) -> list[JsonObject]:
    """Return the volume's three folders as mounts. Who could write `bin` or `hold` could run code in the sidecar."""
    return [parts.mount_of(folder, writable=folder == writable) for folder in ("bin", "hold", "task")]
