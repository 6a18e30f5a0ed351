"""Kubernetes Events for the people who own a training: what `kubectl describe` shows of its controller."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from webhook.observer.gangs import ObservedEnd
from webhook.observer.pods import ObservedPod
from webhook.policy.observed.termination import TerminationClass
from webhook.policy.observed.wrapping_stops import StopCause, WrappingStop

CHECKPOINT_CUT = "CheckpointCut"
WRAPPING_STOPPED, WRAPPING_RESUMED = "WrappingStopped", "WrappingResumed"
_STOPPED = {
    StopCause.REFUSED: "pods were refused, which may be because of gracekeeper's init container",
    StopCause.IMAGE: "a pod cannot start gracekeeper's init container. Delete it, so that its controller makes it again without",
}
_COMPONENT = "gracekeeper"
_LONGEST_NAME = 200


def event_of(end: ObservedEnd, now: datetime) -> dict[str, Any] | None:
    """Return the Event about a save that was cut; None for any other end.

    It is about the pod's controller, which lives on, or about the pod where nothing controls it.
    """
    termination, pod = end.termination, end.pod
    if not termination.kind.is_cut or termination.seconds is None:
        return None
    if termination.kind is TerminationClass.CUT:
        why = f"still ran {termination.seconds} s after SIGTERM and was killed; its grace is {termination.granted_seconds} s"
    else:
        why = f"was ended {termination.seconds} s after SIGTERM by its launcher's own clock"
    message = f"pod {pod.name} {why}: a checkpoint may be lost. gracekeeper gives its next run more time"
    about = {**reference_of(pod), "namespace": pod.workload.namespace}
    return _event(about, f"{pod.uid[:8]}.cut", CHECKPOINT_CUT, message, now)


def stop_event(stop: WrappingStop, about: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return the Event about pods of a namespace that are not wrapped for now. `about`: whose pods were the sign."""
    until = datetime.fromtimestamp(stop.until, UTC).strftime("%H:%MZ")
    resume = f"gracekeeper observed resume -n {about['namespace']}"
    message = (
        f"{_STOPPED[stop.cause]}. Until {until} gracekeeper wraps and labels no pod of this namespace. When supervise's image is "
        f"allowed and can be pulled here, resume: {resume}"
    )
    return _event(about, f"{stop.since:x}.wrapping-stopped", WRAPPING_STOPPED, message, now)


def resumption_event(stop: WrappingStop, about: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return the Event about pods that are wrapped again, because others were refused without it, too."""
    message = (
        "pods are refused without gracekeeper's init container, too: gracekeeper wraps pods of this namespace again"
    )
    return _event(about, f"{stop.since:x}.wrapping-resumed", WRAPPING_RESUMED, message, now)


def reference_of(pod: ObservedPod) -> dict[str, Any]:
    """Return the reference to a pod's controller, or to the pod where nothing controls it."""
    controller = pod.controller
    of_controller = {name: controller[name] for name in ("apiVersion", "kind", "name", "uid") if controller.get(name)}
    return of_controller or {"apiVersion": "v1", "kind": "Pod", "name": pod.name, "uid": pod.uid}


def _event(about: Mapping[str, Any], suffix: str, reason: str, message: str, now: datetime) -> dict[str, Any]:
    time = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{str(about['name'])[:_LONGEST_NAME]}.{suffix}",
            "namespace": about["namespace"],
        },
        "type": "Normal" if reason == WRAPPING_RESUMED else "Warning",
        "reason": reason,
        "message": message,
        "involvedObject": about,
        "source": {"component": _COMPONENT},
        "reportingComponent": _COMPONENT,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }
