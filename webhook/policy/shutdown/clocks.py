"""Second clocks inside the containers, which would cut a save before the pod's own grace does.

Law: a clock of the table never becomes shorter. What the owner wrote is kept, and a note says where it is too short; a copy
of the pod's grace that another controller wrote is raised where it stands.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from webhook.policy.pod import Container, Pod
from webhook.policy.shutdown.changes import VariableEdit


class Rule(Enum):
    """What is done with a clock."""

    SET = auto()
    """Set in each container that may run its reader, and kept where it is there already."""
    RAISE = auto()
    """Raised to the pod's grace in each container that has it already, and set in no other."""


@dataclass(frozen=True, slots=True)
class SecondClock:
    """A variable that holds seconds after SIGTERM, who reads it, since which version, and what is done with it."""

    variable: str
    reader: str
    since: str
    source: str
    rule: Rule


TORCH_VARIABLE = "TORCH_ELASTIC_SHUTDOWN_TIMEOUT"
ARGO_VARIABLE = "ARGO_TERMINATION_GRACE_PERIOD_SECONDS"
HF_MOUNT_VARIABLE = "HF_CSI_TERMINATION_GRACE_SECONDS"
CLOCKS = (
    SecondClock(
        TORCH_VARIABLE,
        reader="torch's elastic agent (torchrun, accelerate launch, dlrover-run): it kills its workers so much later",
        since="torch 2.12; 30 s before, and without the variable",
        source="torch/distributed/launcher/api.py, LaunchConfig",
        rule=Rule.SET,
    ),
    SecondClock(
        ARGO_VARIABLE,
        reader="Argo's executor: it kills the processes of the containers so much later; 30 s without the variable",
        since="read in Argo Workflows 4.0",
        source="argoproj/argo-workflows cmd/argoexec/executor/init.go, TerminationGracePeriodDuration",
        rule=Rule.RAISE,
    ),
    SecondClock(
        HF_MOUNT_VARIABLE,
        reader="hf-mount beside the trainer: it sends what was written and ends within that time, 60 s at least",
        since="read in hf-csi-driver of June 2026",
        source="huggingface/hf-csi-driver pkg/webhook/sidecar.go, injectSidecar; huggingface/hf-mount#202",
        rule=Rule.RAISE,
    ),
)

_TORCH_OWN = "PET_SHUTDOWN_TIMEOUT"
"""torchrun's own option as a variable, which counts before the other one (torch/distributed/run.py)."""
TORCH_DEFAULT_SECONDS = 30
_FIRST_TORCH_WITH_VARIABLE = (2, 12)
_TORCH_IN_IMAGE = re.compile(r"(?:/|^)pytorch:v?(?P<major>[12])\.(?P<minor>\d{1,2})(?!\d)")
"""The tag of PyTorch's own images, pytorch/pytorch:2.4.0-cuda12.4; other images number themselves otherwise."""
_HEAD_START_SECONDS = 5
_LONGEST_SECONDS = 30 * 24 * 3600
"""No value above this is written: a pod may have any 64-bit number as its grace."""


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
        if not container.entries_of(TORCH_VARIABLE):
            edits.append(VariableEdit(container.position, container.name, TORCH_VARIABLE, str(wanted_seconds)))
        notes += _too_short(container, wanted_seconds)
    raised = (edit for clock in CLOCKS if clock.rule is Rule.RAISE for edit in _raised(pod, clock, grace_seconds))
    return Clocks((*edits, *raised), tuple(notes))


def uploads_beside(pod: Pod) -> bool:
    """Return whether another container may upload what the trainer saves.

    Only then the upload has to wait for the trainer, whose own upload is part of its own time.
    """
    return pod.osmo_task is not None or bool(uploaders_beside(pod))


def uploaders_beside(pod: Pod) -> tuple[Container, ...]:
    """Return the containers that run beside the trainer and share a volume with it."""
    volumes = {mount.volume_name for mount in pod.trainer.mounts}
    return tuple(
        container
        for container in pod.running_containers
        if container.position != pod.trainer.position
        and any(mount.volume_name in volumes for mount in container.mounts)
    )


def torch_version_of(container: Container) -> tuple[int, int] | None:
    """Return torch's version by the tag of PyTorch's own image; None for other images, which say no version."""
    tag = _TORCH_IN_IMAGE.search(str(container.manifest.get("image")))
    return None if tag is None else (int(tag["major"]), int(tag["minor"]))


def knows_clock(version: tuple[int, int] | None) -> bool:
    """Return whether this torch is known to read its clock from a variable."""
    return version is not None and version >= _FIRST_TORCH_WITH_VARIABLE


def _too_short(container: Container, wanted_seconds: int) -> Iterator[str]:
    for variable in (TORCH_VARIABLE, _TORCH_OWN):
        for _, entry in container.entries_of(variable):
            if _shorter(entry.get("value"), wanted_seconds):
                yield (
                    f"{variable}={entry['value']} of container {container.name} is shorter than"
                    f" the {wanted_seconds} s it may take"
                )


def _torch_containers(pod: Pod, trainer_seconds: int) -> Iterator[tuple[Container, int]]:
    """Yield containers that may run torch, and the seconds that their workers may take: the trainer's less a head start."""
    for container in pod.containers:
        is_osmo_trainer = pod.osmo_task is not None and container.position == pod.trainer.position
        if is_osmo_trainer or container.shows_torch:
            share_seconds = trainer_seconds - container.pre_stop_seconds - _HEAD_START_SECONDS
            yield container, min(max(TORCH_DEFAULT_SECONDS, share_seconds), _LONGEST_SECONDS)


def _raised(pod: Pod, clock: SecondClock, grace_seconds: int) -> Iterator[VariableEdit]:
    wanted_seconds = min(grace_seconds, _LONGEST_SECONDS)
    for container in pod.all_containers:
        for index, entry in container.entries_of(clock.variable):
            if _shorter(entry.get("value"), wanted_seconds):
                yield VariableEdit(container.position, container.name, clock.variable, str(wanted_seconds), index)


def _shorter(text: object, seconds: int) -> bool:
    """Return whether a text is a number of seconds below this one; one of more than 18 digits never is."""
    return isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= 18 and int(text) < seconds  # noqa: PLR2004  # int() of a long text is slow
