"""Second clocks inside the containers, which would cut a save before the pod's own grace does.

torchrun kills its workers TORCH_ELASTIC_SHUTDOWN_TIMEOUT seconds after SIGTERM (torch 2.12 and newer; 30 by default),
Argo's executor after ARGO_TERMINATION_GRACE_PERIOD_SECONDS. A value that is there is kept. Argo's is raised.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from webhook.policy.pod import Container, Pod
from webhook.policy.shutdown.changes import VariableEdit

TORCH_VARIABLE = "TORCH_ELASTIC_SHUTDOWN_TIMEOUT"
ARGO_VARIABLE = "ARGO_TERMINATION_GRACE_PERIOD_SECONDS"
_TORCH_DEFAULT_SECONDS = 30
_FIRST_TORCH_WITH_VARIABLE = (2, 12)
_TORCH_IN_IMAGE = re.compile(r"(?:/|^)pytorch:v?(?P<major>[12])\.(?P<minor>\d{1,2})(?!\d)")
"""The tag of PyTorch's own images, pytorch/pytorch:2.4.0-cuda12.4; other images number themselves otherwise."""
_HEAD_START_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Clocks:
    """What the pod's environment needs so that no inner clock cuts a save, and notes on clocks that still cut it."""

    edits: tuple[VariableEdit, ...]
    notes: tuple[str, ...]


def clocks_of(pod: Pod, grace_seconds: int, trainer_seconds: int) -> Clocks:
    """Return the inner clocks of a pod with this grace, of which the trainer and its preStop may use `trainer_seconds`."""
    edits: list[VariableEdit] = []
    notes: list[str] = []
    for container, wanted_seconds in _torch_containers(pod, trainer_seconds):
        values = [entry.get("value") for _, entry in container.entries_of(TORCH_VARIABLE)]
        if not values:
            edits.append(VariableEdit(container.position, container.name, TORCH_VARIABLE, str(wanted_seconds)))
        notes += _too_old_torch(container, wanted_seconds)
        notes += [_too_short(container, value, wanted_seconds) for value in values if _shorter(value, wanted_seconds)]
    return Clocks((*edits, *_argo_edits(pod, grace_seconds)), tuple(notes))


def _too_old_torch(container: Container, wanted_seconds: int) -> list[str]:
    """Return a note on a torch that is older than the variable, by the image's tag. Other images say no version."""
    tag = _TORCH_IN_IMAGE.search(str(container.manifest.get("image")))
    if tag is None or wanted_seconds <= _TORCH_DEFAULT_SECONDS:
        return []
    version = (int(tag["major"]), int(tag["minor"]))
    if version >= _FIRST_TORCH_WITH_VARIABLE:
        return []
    torch = f"torch {version[0]}.{version[1]} of container {container.name}"
    return [f"{torch} knows no {TORCH_VARIABLE}: its workers get 30 s"]


def _too_short(container: Container, value: Any, wanted_seconds: int) -> str:
    return f"{TORCH_VARIABLE}={value} of container {container.name} is shorter than the {wanted_seconds} s it may take"


def _torch_containers(pod: Pod, trainer_seconds: int) -> Iterator[tuple[Container, int]]:
    """Yield containers that run torchrun, and the seconds that their workers may take: the trainer's less a head start."""
    for container in pod.containers:
        is_osmo_trainer = pod.osmo_task is not None and container.position == pod.trainer.position
        if is_osmo_trainer or container.launches_torch:
            share_seconds = trainer_seconds - container.pre_stop_seconds
            yield container, max(_TORCH_DEFAULT_SECONDS, share_seconds - _HEAD_START_SECONDS)


def _argo_edits(pod: Pod, grace_seconds: int) -> Iterator[VariableEdit]:
    for container in pod.all_containers:
        for index, entry in container.entries_of(ARGO_VARIABLE):
            if _shorter(entry.get("value"), grace_seconds):
                yield VariableEdit(container.position, container.name, ARGO_VARIABLE, str(grace_seconds), index)


def _shorter(text: object, seconds: int) -> bool:
    return isinstance(text, str) and text.isascii() and text.isdigit() and int(text[:9]) < seconds
