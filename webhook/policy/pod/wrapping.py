"""Whether the wrapping that gracekeeper gave a pod on an earlier call is whole, and the pod without it.

Other webhooks may take away the init container that brings supervise, its volume, or the order of the containers. A
wrapped container cannot start then. So a broken wrapping is undone first: what leaves gracekeeper either runs or is as its
owner wrote it.
"""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from webhook.policy.pod.marks import (
    OSMO_UPLOADER,
    SUPERVISE_BINARY,
    SUPERVISE_GATE,
    SUPERVISE_INIT,
    SUPERVISE_TASK_FOLDER,
    SUPERVISE_VOLUME,
    is_in_supervise_folder,
)
from webhook.policy.pod.metadata import JsonObject

_OSMO_INIT = "osmo-init"
_ADDED = {SUPERVISE_INIT, SUPERVISE_GATE}
_SIDECAR_OPTION = "--sidecar"
_HOLDS_AN_UPLOADER = ("--followed", "follow")


@dataclass(frozen=True, slots=True)
class UndoneWrapping:
    """A broken wrapping, undone."""

    lists: Mapping[str, list[JsonObject]]
    """Lists of the spec as the pod's owner wrote them, by name."""
    lost: str
    """What is missing or misplaced, in words for the decision."""
    lost_restart_policy: bool
    """Whether a native sidecar lost its restartPolicy, so that the pod would wait for it for ever."""


def undone_wrapping(spec: JsonObject) -> UndoneWrapping | None:
    """Return the undone wrapping of a pod; None where the wrapping is whole, or there is none."""
    containers, init_containers = spec.get("containers") or [], spec.get("initContainers") or []
    if not any(map(_is_wrapped, (*containers, *init_containers))):
        return None
    lost = next(_faults(spec, containers, init_containers), "")
    if not lost:
        return None
    gate = next((container for container in containers if container.get("name") == SUPERVISE_GATE), None)
    lists = {
        "containers": _owners(containers),
        "initContainers": _owners(init_containers),
        "volumes": [volume for volume in spec.get("volumes") or [] if volume.get("name") != SUPERVISE_VOLUME],
    }
    if not any(container.get("name") == OSMO_UPLOADER for container in lists["containers"]):
        _move_uploader(lists, containers, gate)
    changed = {name: members for name, members in lists.items() if members != (spec.get(name) or [])}
    return UndoneWrapping(changed, lost, any(map(_lacks_restart_policy, init_containers)))


def _faults(spec: JsonObject, containers: Sequence[JsonObject], init_containers: Sequence[JsonObject]) -> Iterator[str]:
    """Yield what keeps a wrapped container from starting, or its pod from ending as it should."""
    if all(container.get("name") != SUPERVISE_INIT for container in init_containers):
        yield f"init container {SUPERVISE_INIT} is gone"
    if all(volume.get("name") != SUPERVISE_VOLUME for volume in spec.get("volumes") or ()):
        yield f"volume {SUPERVISE_VOLUME} is gone"
    for container in (*containers, *init_containers):
        if _is_wrapped(container) and not _needed_mounts(container) <= _mounts(container):
            yield f"a mount of container {container.get('name')} is gone"
    yield from _faults_of_order(init_containers)
    yield from _faults_of_uploader(containers, init_containers)


def _faults_of_order(init_containers: Sequence[JsonObject]) -> Iterator[str]:
    names = [container.get("name") for container in init_containers]
    for index, container in enumerate(init_containers):
        later = [name for name in (SUPERVISE_INIT, _OSMO_INIT) if name in names[index:]]
        if _is_wrapped(container) and later:
            yield f"{container.get('name')} starts before {later[0]}"


def _faults_of_uploader(containers: Sequence[JsonObject], init_containers: Sequence[JsonObject]) -> Iterator[str]:
    if any(map(_lacks_restart_policy, init_containers)):
        yield "restartPolicy of the native sidecar is gone"
    uploaders = [each for each in (*containers, *init_containers) if each.get("name") == OSMO_UPLOADER]
    if not all(map(_is_wrapped, uploaders)):
        yield f"the command of {OSMO_UPLOADER} was replaced"
    is_native = any(each.get("name") == OSMO_UPLOADER for each in init_containers)
    has_gate = any(container.get("name") == SUPERVISE_GATE for container in containers)
    if is_native and not has_gate:
        yield f"container {SUPERVISE_GATE} is gone"
    if has_gate and not is_native:
        yield f"{OSMO_UPLOADER} is no native sidecar any more"


def _owners(containers: Sequence[JsonObject]) -> list[JsonObject]:
    """Return the containers of the pod's owner as the owner wrote them."""
    return [_unwrapped(container) for container in containers if container.get("name") not in _ADDED]


def _move_uploader(
    lists: Mapping[str, list[JsonObject]], containers: Sequence[JsonObject], gate: JsonObject | None
) -> None:
    """Move osmo-ctrl back among the regular containers, to the place that the gate took."""
    sidecars = [each for each in lists["initContainers"] if each.get("name") == OSMO_UPLOADER]
    if not sidecars:
        return
    lists["initContainers"][:] = [each for each in lists["initContainers"] if each.get("name") != OSMO_UPLOADER]
    place = len(lists["containers"]) if gate is None else containers.index(gate)
    fields = {name: value for name, value in sidecars[0].items() if name != "restartPolicy"}
    lists["containers"].insert(place, _with_requests_of(gate, fields))


def _with_requests_of(gate: JsonObject | None, osmo_ctrl: JsonObject) -> JsonObject:
    """Return osmo-ctrl with the requests that the gate had taken over from it."""
    requests = ((gate or {}).get("resources") or {}).get("requests")
    resources = osmo_ctrl.get("resources") or {}
    if not requests or "requests" not in resources:
        return osmo_ctrl
    return {**osmo_ctrl, "resources": {**resources, "requests": {**resources["requests"], **requests}}}


def _unwrapped(container: JsonObject) -> JsonObject:
    mounts = container.get("volumeMounts") or []
    own_mounts = [mount for mount in mounts if not _is_of_supervise(mount)]
    if len(own_mounts) < len(mounts):
        container = {**container, "volumeMounts": own_mounts}
    if not _is_wrapped(container):
        return container
    command = list(container["command"])
    return {**container, "command": command[command.index("--") + 1 :] if "--" in command else command}


def _is_wrapped(container: JsonObject) -> bool:
    command = container.get("command") or [""]
    return bool(command[0] == SUPERVISE_BINARY) and container.get("name") != SUPERVISE_GATE


def _needed_mounts(container: JsonObject) -> set[str]:
    """Return the paths without which a wrapped container does not start, or a trainer does not show that it lives."""
    needed = {posixpath.dirname(SUPERVISE_BINARY)}
    own_words = takewhile(lambda word: word != "--", container["command"])
    return needed | {SUPERVISE_TASK_FOLDER} if any(word in _HOLDS_AN_UPLOADER for word in own_words) else needed


def _mounts(container: JsonObject) -> set[str]:
    return {mount.get("mountPath") or "" for mount in container.get("volumeMounts") or ()}


def _is_of_supervise(mount: JsonObject) -> bool:
    return is_in_supervise_folder(mount.get("mountPath") or "")


def _lacks_restart_policy(container: JsonObject) -> bool:
    is_sidecar = _is_wrapped(container) and _SIDECAR_OPTION in container["command"]
    return is_sidecar and container.get("restartPolicy") != "Always"
