"""Second clocks inside the containers, which would cut a save before the pod's own grace does.

torchrun kills its workers TORCH_ELASTIC_SHUTDOWN_TIMEOUT seconds after SIGTERM (torch 2.12 and newer; 30 by default),
Argo's executor after ARGO_TERMINATION_GRACE_PERIOD_SECONDS. A value that is there is kept; Argo's is raised.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from webhook.policy import pod as pods
from webhook.policy.facts import JsonObject

TORCH_VARIABLE = "TORCH_ELASTIC_SHUTDOWN_TIMEOUT"
ARGO_VARIABLE = "ARGO_TERMINATION_GRACE_PERIOD_SECONDS"
_TORCH_DEFAULT_SECONDS = 30
_TORCH_THAT_LISTENS = (2, 12)
_TORCH_IN_IMAGE = re.compile(r"(?:/|^)pytorch:v?(?P<major>[12])\.(?P<minor>\d{1,2})(?!\d)")
"""The tag of PyTorch's own images, pytorch/pytorch:2.4.0-cuda12.4; other images number themselves otherwise."""
_HEAD_START_SECONDS = 5
_LAUNCHERS = ("torchrun", "torch.distributed.run")
_LAUNCHED_PREFIX = "PET_"


@dataclass(frozen=True, slots=True)
class VariableEdit:
    """An environment variable to add (position None) or to replace, in `containers` or `initContainers`."""

    group: str
    container_index: int
    name: str
    value: str
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Clocks:
    """What the pod's environment needs so that no inner clock cuts a save, and which clocks are kept although they do."""

    edits: tuple[VariableEdit, ...]
    notes: tuple[str, ...]


def clocks(pod: JsonObject, grace_seconds: int, trainer_seconds: int) -> Clocks:
    """The inner clocks of a pod that gets this grace, of which the trainer and its preStop may use so many seconds."""
    edits, notes = [], []
    for index, container, wanted in _torch_containers(pod, trainer_seconds):
        present = [entry.get("value") for _, entry in _entries(container, TORCH_VARIABLE)]
        if not present:
            edits.append(VariableEdit("containers", index, TORCH_VARIABLE, str(wanted)))
        notes += _deaf_torch(container, wanted)
        notes += [_too_short(container, value, wanted) for value in present if _shorter(value, wanted)]
    return Clocks((*edits, *_argo_edits(pod, grace_seconds)), tuple(notes))


def _deaf_torch(container: JsonObject, wanted: int) -> list[str]:
    """A torch that is older than the variable, by the image's tag; what a tag does not say is not guessed."""
    found = _TORCH_IN_IMAGE.search(str(container.get("image")))
    if found is None or wanted <= _TORCH_DEFAULT_SECONDS:
        return []
    version = (int(found["major"]), int(found["minor"]))
    if version >= _TORCH_THAT_LISTENS:
        return []
    name = container.get("name")
    return [f"torch {version[0]}.{version[1]} of container {name} knows no {TORCH_VARIABLE}: its workers get 30 s"]


def _too_short(container: JsonObject, value: Any, wanted: int) -> str:
    return f"{TORCH_VARIABLE}={value} of container {container.get('name')} is shorter than the {wanted} s it may take"


def _torch_containers(pod: JsonObject, trainer_seconds: int) -> Iterator[tuple[int, JsonObject, int]]:
    """Containers that run torchrun, and the seconds their workers may take: the trainer's share less a head start."""
    osmo_trainer = pods.trainer_index(pod) if pods.is_osmo_task(pod) else None
    for index, container in enumerate(pods.containers(pod)):
        if index == osmo_trainer or _launches_torch(container):
            share = trainer_seconds - pods.pre_stop_seconds(container)
            yield index, container, max(_TORCH_DEFAULT_SECONDS, share - _HEAD_START_SECONDS)


def _launches_torch(container: JsonObject) -> bool:
    command = " ".join(pods.words(container))
    return any(launcher in command for launcher in _LAUNCHERS) or any(
        name.startswith(_LAUNCHED_PREFIX) for name in pods.variable_names(container)
    )


def _argo_edits(pod: JsonObject, grace_seconds: int) -> Iterator[VariableEdit]:
    for group, members in (("containers", pods.containers(pod)), ("initContainers", pods.init_containers(pod))):
        for index, container in enumerate(members):
            for position, entry in _entries(container, ARGO_VARIABLE):
                if _shorter(entry.get("value"), grace_seconds):
                    yield VariableEdit(group, index, ARGO_VARIABLE, str(grace_seconds), position)


def _entries(container: JsonObject, name: str) -> list[tuple[int, JsonObject]]:
    """The entries of a container's environment that set this variable, with their positions; hardly ever one."""
    environment = container.get("env") or ()
    return [(position, entry) for position, entry in enumerate(environment) if entry.get("name") == name]


def _shorter(text: object, seconds: int) -> bool:
    return isinstance(text, str) and text.isascii() and text.isdigit() and int(text[:9]) < seconds
