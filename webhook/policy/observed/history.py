"""What a watch has shown of one pod until now.

Law: the first deletion that was seen counts. Later objects show another one: a second delete moves it, and so does the
kubelet's own last delete, whose time is the end on Kubernetes 1.37 and the start on 1.30.
"""

from dataclasses import dataclass, replace

from webhook.policy.pod import Pod
from webhook.policy.pod.status import ContainerEnd, Deletion, PodStatus
from webhook.policy.prefix import WORKLOAD_LABELS

_TORCH_CLOCKS = ("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "PET_SHUTDOWN_TIMEOUT")
_LOST_NODE = frozenset({"DeletionByTaintManager", "DeletionByPodGC", "DeletionByDeviceTaintManager"})


@dataclass(frozen=True, slots=True)
class Trainer:
    """What of a pod's trainer counts when it ends, by the same policy as at admission."""

    name: str
    grace_seconds: int
    """The pod's own terminationGracePeriodSeconds."""
    pre_stop_seconds: int
    has_pre_stop_of_unknown_length: bool
    may_run_torch: bool
    torch_clock_seconds: int | None
    """The clock that torch's agent is told; None where the pod tells it none."""


@dataclass(frozen=True, slots=True)
class PodHistory:
    """One pod, from its first object to its last."""

    trainer: Trainer
    status: PodStatus
    """The last that was seen."""
    workloads: frozenset[str] = frozenset()
    """The names under which its end is remembered; one where its owner gave it."""
    deletion: Deletion | None = None
    """The first that was seen."""
    ended_before_deletion: bool = False
    """Whether the pod had ended in an object without deletion."""
    was_watched: bool = False
    """Whether the deletion's first object came after one that showed the pod alive: its time is the true one then."""
    is_gone: bool = False

    @property
    def trainer_end(self) -> ContainerEnd | None:
        """Return how the trainer ended; None where that is not seen."""
        return self.status.ends.get(self.trainer.name)

    @property
    def failed(self) -> int | None:
        """Return when the pod failed or lost its node without being told to stop; None where it did not."""
        until = None if self.deletion is None else self.deletion.start
        ends = (*self.status.ends.values(), *self.status.earlier_ends)
        times = [end.finished for end in ends if end.exit_code and end.finished is not None]
        failures = [time for time in times if until is None or time < until]
        if self.status.disruption in _LOST_NODE and self.status.disrupted is not None:
            failures.append(self.status.disrupted)
        return min(failures, default=None)

    @property
    def lost_its_node(self) -> bool:
        """Whether the cluster gave the pod's node up."""
        return self.status.disruption in _LOST_NODE


def first_seen(pod: Pod, status: PodStatus) -> PodHistory:
    """Return the history of a pod that was not seen before."""
    container = pod.trainer
    clocks = (container.environment.get(name) for name in _TORCH_CLOCKS)
    clock = next((int(str(text)) for text in clocks if str(text).isascii() and str(text).isdigit()), None)
    trainer = Trainer(
        name=container.name,
        grace_seconds=pod.grace_seconds,
        pre_stop_seconds=container.pre_stop_seconds,
        has_pre_stop_of_unknown_length=container.has_pre_stop_of_unknown_length,
        may_run_torch=container.shows_torch or clock is not None,
        torch_clock_seconds=clock,
    )
    workloads = frozenset(pod.labels[label] for label in WORKLOAD_LABELS if label in pod.labels)
    ended_before = status.is_terminal and status.deletion is None
    return PodHistory(trainer, status, workloads, status.deletion, ended_before)


def next_seen(history: PodHistory, status: PodStatus, *, is_gone: bool = False) -> PodHistory:
    """Return the history with one more object of the same pod; `is_gone`: with the event of its removal."""
    deletion = history.deletion or status.deletion
    is_first_deletion = history.deletion is None and deletion is not None
    return replace(
        history,
        status=status,
        deletion=deletion,
        ended_before_deletion=history.ended_before_deletion or (status.is_terminal and deletion is None),
        was_watched=history.was_watched or (is_first_deletion and not history.ended_before_deletion),
        is_gone=is_gone,
    )
