"""What is changed in an OSMO task pod so that its checkpoint and its upload are finished.

osmo-init stays; gracekeeper-init brings the binary; osmo-ctrl runs under `supervise hold`, the user's container under
`supervise forward`; in native mode osmo-ctrl becomes a native sidecar, appended last, as it needs what the others bring,
and the gate takes its place among the regular containers: it keeps the pod alive until the upload has ended, and its exit
code carries the upload's result into the pod's phase.
"""

from collections.abc import Mapping
from typing import Any

from webhook.policy.config import Config, InterruptedCode, OsmoMode, Supervise
from webhook.policy.facts import Facts, JsonObject
from webhook.policy.grace import Split
from webhook.policy.osmo import resources
from webhook.policy.osmo.task import Task, uploader
from webhook.policy.supervise import parts
from webhook.policy.supervise.change import Conversion, Place
from webhook.policy.supervise.resources import added

_LOST_IN_A_SIDECAR = ("restartPolicy", "restartPolicyRules", "resizePolicy")
"""Fields that an init container must not have or that mean something else there."""


def conversion(task: Task, mode: OsmoMode, split: Split, config: Config, facts: Facts) -> Conversion:
    """The changes for a pod that is to be converted; `task.user` is there."""
    pod, osmo_ctrl = task.pod, uploader(task)
    native = mode is OsmoMode.NATIVE
    user: Place = ("containers", task.user or 0)
    held = {
        **osmo_ctrl,
        "command": [*_hold(split, config, native=native), *osmo_ctrl.get("command", ())],
        "volumeMounts": [*osmo_ctrl.get("volumeMounts", ()), *_mounts(writable="hold")],
    }
    regular = [place for place in task.uploaders if place[0] == "containers"]
    removed = tuple(place for place in task.uploaders if place[0] == "initContainers")
    init = [parts.init(config.supervise, added(pod, facts))]
    if native:
        last = _gate(config.supervise, resources.of_gate(pod, osmo_ctrl, facts))
        init.append(_sidecar(held, osmo_ctrl))
    else:
        last = {name: value for name, value in held.items() if name != "restartPolicy"}
    appended = {
        "initContainers": tuple(init),
        "volumes": (parts.volume(),),
        **({} if regular else {"containers": (last,)}),
        **parts.pull_secrets(pod, config.supervise),
    }
    edits = parts.wrapped(pod, user, _forward(split), _mounts(writable="task"))
    return Conversion(edits, dict.fromkeys(regular, last), removed, appended)


def _forward(split: Split) -> list[str]:
    return [
        *(parts.BINARY, "forward", "--below", "--limit", str(split.limit_seconds)),
        *("--interrupted-code", str(int(InterruptedCode.SIGTERM)), "--"),
    ]


def _hold(split: Split, config: Config, *, native: bool) -> list[str]:
    """With the code of today, 2001, hold ends with 1 once the data is safe: OSMO adds 2000 to osmo-ctrl's codes."""
    code = config.osmo.interrupted_code
    return [
        *(parts.BINARY, "hold"),
        *(["--sidecar"] if native else []),
        *("--grace", str(split.grace_seconds)),
        *(["--interrupted-code", str(code - 2000)] if code is InterruptedCode.AS_TODAY else []),
        "--",
    ]


def _gate(supervise: Supervise, requirements: Mapping[str, Any]) -> JsonObject:
    return {
        **parts.container(parts.GATE, supervise, requirements),
        "command": [parts.BINARY, "gate"],
        "volumeMounts": _mounts(writable="task"),
    }


def _sidecar(held: Mapping[str, Any], osmo_ctrl: JsonObject) -> JsonObject:
    kept = {name: value for name, value in held.items() if name not in _LOST_IN_A_SIDECAR}
    return {**kept, "restartPolicy": "Always", "resources": resources.of_sidecar(osmo_ctrl)}


def _mounts(*, writable: str) -> list[JsonObject]:
    """The folder in three: whoever could write `bin` or `hold` could have the sidecar run its own code."""
    return [parts.mount(folder, writable=folder == writable) for folder in ("bin", "hold", "task")]
