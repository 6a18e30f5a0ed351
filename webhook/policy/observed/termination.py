"""How a pod ended, and what that teaches.

The rules, in this order. S is the time from the start of the deletion to the trainer's end, G the grace that was granted.
1. A kubelet's eviction and a node's shutdown are told by the pod's status. They run on clocks of their own.
2. A pod that had ended before it was deleted was not told to stop.
3. What is not known for sure teaches nothing: a lost status, a lost node, a clock that is more than 3 s off.
4. A grace below the pod's own was overridden. A gang that a peer has broken does not save. A young run has little to save.
5. Out of memory is a fault of its own.
6. SIGKILL at the end of the grace is a cut, before it somebody else's clock.
7. An end with 0 or 143 within the grace is a stop. At once, 143 shows that nobody handled the signal.
8. Another code after 30 s, where torch may run, is the launcher's own clock.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from webhook.policy.observed.history import PodHistory
from webhook.policy.pod.status import ContainerEnd, PodStatus

_TOLERANCE_SECONDS = 2
"""Both times are cut to whole seconds, by two clocks."""
_CLOCK_SECONDS = 3
_FASTEST_STOP_SECONDS = 3
_LONGEST_OVERRUN_SECONDS = 10
_LAUNCHER_CLOCK_SECONDS = range(28, 34)
"""torchrun kills its workers 30 s after SIGTERM (torch/distributed/elastic/multiprocessing/api.py)."""
_GANG_SECONDS = 600
"""A peer that failed longer ago was replaced since."""
_SIGKILL, _SIGTERM = 137, 143
_OUT_OF_MEMORY, _LOST_STATUS = "OOMKilled", "ContainerStatusUnknown"
_ACCOUNT = re.compile(
    r"gracekeeper: told=(\d{1,9}) as=\w* written=(\d{1,19}) killed=(\d{1,9})(?: ended=([\d.]{1,12})s)?"
)


class TerminationClass(StrEnum):
    """How a pod ended. The slugs label a metric."""

    SAVED = "saved"
    """In time, and supervise saw bytes written."""
    STOPPED = "stopped"
    CUT = "cut"
    SECOND_CLOCK = "second-clock"
    NO_HANDLER = "no-handler"
    KILLED_EARLY = "killed-early"
    OOM = "oom"
    EVICTED = "evicted"
    SHUTDOWN = "shutdown"
    OVERRIDDEN = "overridden"
    GANG_BROKEN = "gang-broken"
    TOO_YOUNG = "too-young"
    ENDED_BEFORE = "ended-before"
    UNKNOWN = "unknown"

    @property
    def is_in_time(self) -> bool:
        """Whether the trainer ended by itself within its grace, so that its time is an upper bound of a save."""
        return self in {TerminationClass.SAVED, TerminationClass.STOPPED}

    @property
    def is_cut(self) -> bool:
        """Whether the trainer was still at work when it was killed, so that its time is a lower bound."""
        return self in {TerminationClass.CUT, TerminationClass.SECOND_CLOCK}


_OF_STATUS_REASON = {
    "Evicted": TerminationClass.EVICTED,
    "Preempting": TerminationClass.EVICTED,
    "Terminated": TerminationClass.SHUTDOWN,
    "NodeShutdown": TerminationClass.SHUTDOWN,
}
"""By kubelets: pkg/kubelet/eviction, pkg/kubelet/preemption, pkg/kubelet/nodeshutdown."""


@dataclass(frozen=True, slots=True)
class _Account:
    """What supervise wrote into the termination message."""

    told: int
    written_bytes: int
    killed: int
    has_ended: bool


@dataclass(frozen=True, slots=True)
class Termination:
    """One pod's end. Example: cut, 60 s of 60 s."""

    kind: TerminationClass
    seconds: int | None = None
    """S, where it is known."""
    granted_seconds: int | None = None
    """G, where the pod was deleted."""
    cause: str = ""
    """Who asked for it, as the pod's status names it; empty for a plain delete."""
    nobody_caught: bool = False
    """Whether supervise saw that no process handles the signal."""
    began: int = 0
    """When the pod was told to stop, in seconds since 1970; 0 where it was not deleted."""
    created: int = 0
    """When the pod was made; 0 where that is not known."""


def termination_of(
    history: PodHistory, peers: Iterable[PodHistory] = (), *, minimum_run_seconds: int
) -> Termination | None:
    """Return how a pod ended; None while it runs, for one that no kubelet had, and for one that nobody told to stop.

    `peers` are other pods of the namespace; those of the same gang count.
    """
    status, deletion = history.status, history.deletion
    by_kubelet = _OF_STATUS_REASON.get(status.reason) if status.phase == "Failed" else None
    if by_kubelet is not None:
        return Termination(by_kubelet, cause=_eviction_cause(status))
    if history.ended_before_deletion:
        return Termination(TerminationClass.ENDED_BEFORE) if deletion is not None else None
    if deletion is None or not (history.is_gone or status.is_terminal):
        return None
    if status.kubelet_began is None:  # it waited for a node: the API server deletes it at once, with a grace of 0
        return None
    end, granted = history.trainer_end, deletion.grace_seconds
    seconds = None if end is None or end.finished is None else end.finished - deletion.start
    kind = _kind_without_time(history, peers, minimum_run_seconds)
    if kind is None and end is not None and seconds is not None:
        kind = _kind(history, end, seconds, granted)
    account = None if end is None else _account_of(end)
    is_timed = kind is not None and (kind.is_in_time or kind.is_cut or kind is TerminationClass.KILLED_EARLY)
    return Termination(
        TerminationClass.UNKNOWN if kind is None else kind,
        max(seconds, _FASTEST_STOP_SECONDS) if is_timed and seconds is not None else None,
        granted,
        status.disruption,
        nobody_caught=account is not None and account.told == 0,
        began=deletion.start,
        created=status.created or 0,
    )


def _account_of(end: ContainerEnd) -> _Account | None:
    """Return what supervise left in a container's termination message; None where it left nothing."""
    match = _ACCOUNT.search(end.message)
    if match is None:
        return None
    told, written, killed, ended = match.groups()
    return _Account(int(told), int(written), int(killed), ended is not None)


def _eviction_cause(status: PodStatus) -> str:
    """Return why a kubelet ended a pod, as one of a few slugs (pkg/kubelet/eviction/helpers.go)."""
    causes = {
        "ephemeral local storage usage exceeds": "ephemeral-storage-limit",
        "exceeded its local ephemeral storage limit": "ephemeral-storage-limit",
        "Usage of EmptyDir volume": "emptydir-limit",
        "The node was low on resource: memory": "memory-pressure",
        "The node was low on resource: ephemeral-storage": "disk-pressure",
        "The node was low on resource": "node-pressure",
        "node shutdown": "node-shutdown",
    }
    return next((slug for text, slug in causes.items() if text in status.message), "other")


def _clock_is_off(status: PodStatus) -> bool:
    """Return whether the node's clock is surely more than 3 s from the API server's.

    A kubelet cannot report what has not happened yet, nor begin with a pod before that was bound to its node.
    """
    is_ahead = (
        status.latest_of_node is not None
        and status.kubelet_reported is not None
        and status.latest_of_node - status.kubelet_reported > _CLOCK_SECONDS
    )
    is_behind = (
        status.kubelet_began is not None
        and status.scheduled is not None
        and status.scheduled - status.kubelet_began > _CLOCK_SECONDS
    )
    return is_ahead or is_behind


def _kind_without_time(
    history: PodHistory, peers: Iterable[PodHistory], minimum_run_seconds: int
) -> TerminationClass | None:
    """Return the class where the trainer's code and time do not matter."""
    deletion, end = history.deletion, history.trainer_end
    if deletion is None or history.lost_its_node or _clock_is_off(history.status):
        return TerminationClass.UNKNOWN
    if deletion.grace_seconds < history.trainer.grace_seconds:
        is_hidden = history.status.is_terminal and not history.was_watched  # by the kubelet's own last delete
        return TerminationClass.UNKNOWN if is_hidden else TerminationClass.OVERRIDDEN
    if end is None or end.finished is None or end.started is None or end.reason == _LOST_STATUS:
        return TerminationClass.UNKNOWN
    if end.finished < deletion.start - _CLOCK_SECONDS:
        return TerminationClass.ENDED_BEFORE
    is_young = deletion.start - end.started < minimum_run_seconds
    of_run = TerminationClass.TOO_YOUNG if is_young else None
    return TerminationClass.GANG_BROKEN if any(_broke(peer, history, deletion.start) for peer in peers) else of_run


def _broke(peer: PodHistory, history: PodHistory, start: int) -> bool:
    """Return whether a peer failed, or lost its node, shortly before the pod was told to stop."""
    is_peer = peer.status.gang == history.status.gang != "" and peer.status.uid != history.status.uid
    return is_peer and peer.failed is not None and start - _GANG_SECONDS < peer.failed <= start


def _kind(history: PodHistory, end: ContainerEnd, seconds: int, granted: int) -> TerminationClass:
    """Return the class by the trainer's code and time."""
    if end.reason == _OUT_OF_MEMORY:
        return TerminationClass.OOM
    if not 0 <= seconds <= granted + _LONGEST_OVERRUN_SECONDS:
        return TerminationClass.UNKNOWN
    if end.exit_code == _SIGKILL:
        was_cut = seconds >= granted - _TOLERANCE_SECONDS
        return TerminationClass.CUT if was_cut else TerminationClass.KILLED_EARLY
    if end.exit_code not in {0, _SIGTERM}:
        return _kind_of_error(history, seconds)
    if seconds > granted + _TOLERANCE_SECONDS:
        return TerminationClass.UNKNOWN
    return _kind_of_stop(history, end, seconds)


def _kind_of_stop(history: PodHistory, end: ContainerEnd, seconds: int) -> TerminationClass:
    account = _account_of(end)
    wrote = account is not None and account.has_ended and account.written_bytes > 0 and not account.killed
    if wrote:  # with 143, which supervise puts in place of the 0 of a run that was cut, as well
        return TerminationClass.SAVED
    if end.exit_code == 0:
        return TerminationClass.STOPPED
    if history.trainer.has_pre_stop_of_unknown_length:
        return TerminationClass.UNKNOWN
    was_fast = seconds - history.trainer.pre_stop_seconds < _FASTEST_STOP_SECONDS
    return TerminationClass.NO_HANDLER if was_fast else TerminationClass.STOPPED


def _kind_of_error(history: PodHistory, seconds: int) -> TerminationClass:
    """Return the class of an end with an error, which teaches no time unless a launcher's clock explains it."""
    trainer = history.trainer
    after_signal = seconds - trainer.pre_stop_seconds
    if after_signal < _FASTEST_STOP_SECONDS and not trainer.has_pre_stop_of_unknown_length:
        return TerminationClass.NO_HANDLER
    clock = trainer.torch_clock_seconds
    by_clock = clock is not None and abs(after_signal - clock) <= _CLOCK_SECONDS
    if trainer.may_run_torch and (by_clock or after_signal in _LAUNCHER_CLOCK_SECONDS):
        return TerminationClass.SECOND_CLOCK
    return TerminationClass.UNKNOWN
