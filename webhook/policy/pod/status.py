"""What the API server shows of a pod that runs or ends: its deletion, its containers' ends, and when each was written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from webhook.policy.pod.metadata import JsonObject, gang_of, metadata_of
from webhook.policy.pod.timestamp import seconds_of

_TERMINAL_PHASES = frozenset({"Succeeded", "Failed"})
_KUBELETS_CONDITIONS = frozenset({"Ready", "ContainersReady"})
_STILL_BEING_MADE = frozenset({"", "PodInitializing", "ContainerCreating"})
"""Reasons for which a container waits while nothing is wrong."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """A deletion as an object shows it."""

    deadline: int
    """Its deletionTimestamp, in seconds since 1970."""
    grace_seconds: int

    @property
    def start(self) -> int:
        """Return when it began, by the API server's clock."""
        return self.deadline - self.grace_seconds


@dataclass(frozen=True, slots=True)
class ContainerEnd:
    """How one container ended, by its node's clock. Times are None where the kubelet does not know them."""

    exit_code: int
    reason: str
    message: str
    started: int | None
    finished: int | None


@dataclass(frozen=True, slots=True)
class InitProgress:
    """How far one init container of a pod has come."""

    is_stuck: bool
    """Whether it cannot begin: no image, no container, or it has failed."""
    done: int | None
    """When it ended well, by its node's clock."""


@dataclass(frozen=True, slots=True)
class PodStatus:
    """The metadata and the status of a pod at one moment."""

    uid: str
    gang: str
    """The JobSet or the controlling owner, by its uid if possible; empty for a pod without one."""
    created: int | None
    """When the API server made the pod."""
    deletion: Deletion | None
    phase: str
    reason: str
    message: str
    disruption: str
    """The reason of the condition DisruptionTarget; empty without it."""
    disrupted: int | None
    ends: Mapping[str, ContainerEnd]
    """Ends of the containers that have terminated, by name."""
    earlier_ends: tuple[ContainerEnd, ...]
    """Ends of containers that were started again."""
    scheduled: int | None
    """When the pod was bound to its node, by the scheduler's clock."""
    kubelet_began: int | None
    """The status' startTime, by the node's clock."""
    kubelet_reported: int | None
    """When the kubelet's last report came, by the API server's clock."""
    latest_of_node: int | None
    """The latest time in that report, by the node's clock."""

    @property
    def is_terminal(self) -> bool:
        """Whether all containers have ended for good."""
        return self.phase in _TERMINAL_PHASES


def read_status(manifest: JsonObject) -> PodStatus:
    """Read a pod as a watch shows it."""
    metadata, status = metadata_of(manifest), manifest.get("status") or {}
    states = list(_states(status))
    ends = {name: _end(state["terminated"]) for name, state in states if state.get("terminated")}
    conditions = {condition.get("type"): condition for condition in status.get("conditions") or ()}
    disruption = conditions.get("DisruptionTarget") or {}
    is_disrupted = disruption.get("status") == "True"
    return PodStatus(
        uid=metadata.get("uid") or "",
        gang=gang_of(manifest),
        created=seconds_of(metadata.get("creationTimestamp")),
        deletion=_deletion(metadata),
        phase=status.get("phase") or "",
        reason=status.get("reason") or "",
        message=status.get("message") or "",
        disruption=(disruption.get("reason") or "") if is_disrupted else "",
        disrupted=seconds_of(disruption.get("lastTransitionTime")) if is_disrupted else None,
        ends=ends,
        earlier_ends=tuple(_earlier_ends(status)),
        scheduled=seconds_of((conditions.get("PodScheduled") or {}).get("lastTransitionTime")),
        kubelet_began=seconds_of(status.get("startTime")),
        kubelet_reported=_kubelet_reported(metadata),
        latest_of_node=max(_times_of_node(states, conditions), default=None),
    )


def init_progress(manifest: JsonObject, name: str) -> InitProgress | None:
    """Return how far an init container has come; None where the pod's status has none of that name."""
    statuses = (manifest.get("status") or {}).get("initContainerStatuses") or ()
    state = next((each.get("state") or {} for each in statuses if each.get("name") == name), None)
    if state is None:
        return None
    waiting, terminated = state.get("waiting"), state.get("terminated")
    if terminated:
        end = _end(terminated)
        return InitProgress(end.exit_code != 0, end.finished if end.exit_code == 0 else None)
    reason = (waiting or {}).get("reason") or ""
    return InitProgress(reason not in _STILL_BEING_MADE, None)


def _deletion(metadata: JsonObject) -> Deletion | None:
    deadline, grace = seconds_of(metadata.get("deletionTimestamp")), metadata.get("deletionGracePeriodSeconds")
    return None if deadline is None else Deletion(deadline, grace if isinstance(grace, int) else 0)


def _states(status: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    for container in status.get("containerStatuses") or ():
        yield container.get("name") or "", container.get("state") or {}


def _earlier_ends(status: JsonObject) -> Iterator[ContainerEnd]:
    for container in status.get("containerStatuses") or ():
        terminated = (container.get("lastState") or {}).get("terminated")
        if terminated:
            yield _end(terminated)


def _end(terminated: JsonObject) -> ContainerEnd:
    return ContainerEnd(
        exit_code=terminated.get("exitCode") or 0,
        reason=terminated.get("reason") or "",
        message=terminated.get("message") or "",
        started=seconds_of(terminated.get("startedAt")),
        finished=seconds_of(terminated.get("finishedAt")),
    )


def _times_of_node(states: list[tuple[str, JsonObject]], conditions: Mapping[object, JsonObject]) -> Iterator[int]:
    """Yield the times that a kubelet wrote. The node lifecycle controller writes `Ready` too, then without a reason."""
    for _, state in states:
        for of_state in state.values():
            times = (seconds_of((of_state or {}).get(name)) for name in ("startedAt", "finishedAt"))
            yield from (time for time in times if time is not None)
    for name in _KUBELETS_CONDITIONS & conditions.keys():
        condition = conditions[name]
        changed = seconds_of(condition.get("lastTransitionTime"))
        if changed is not None and (condition.get("status") == "True" or condition.get("reason")):
            yield changed


def _kubelet_reported(metadata: JsonObject) -> int | None:
    times = (
        seconds_of(entry.get("time"))
        for entry in metadata.get("managedFields") or ()
        if entry.get("manager") == "kubelet" and entry.get("subresource") == "status"
    )
    return max((time for time in times if time is not None), default=None)
