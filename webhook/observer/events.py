"""Kubernetes Events for the people who own a training: what `kubectl describe` shows of its controller."""

from datetime import UTC, datetime
from typing import Any

from webhook.observer.gangs import ObservedEnd
from webhook.policy.observed.termination import TerminationClass

CHECKPOINT_CUT = "CheckpointCut"
_COMPONENT = "gracekeeper"
_LONGEST_NAME = 200


def event_of(end: ObservedEnd, now: datetime) -> dict[str, Any] | None:
    """Return the Event about a save that was cut; None for any other end.

    It is about the pod's controller, which lives on, or about the pod where nothing controls it.
    """
    termination, pod = end.termination, end.pod
    if not termination.kind.is_cut or termination.seconds is None:
        return None
    controller = pod.controller
    about = {field: controller[field] for field in ("apiVersion", "kind", "name", "uid") if controller.get(field)} or {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": pod.name,
        "uid": pod.uid,
    }
    if termination.kind is TerminationClass.CUT:
        why = f"still ran {termination.seconds} s after SIGTERM and was killed; its grace is {termination.granted_seconds} s"
    else:
        why = f"was ended {termination.seconds} s after SIGTERM by its launcher's own clock"
    time = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{str(about['name'])[:_LONGEST_NAME]}.{pod.uid[:8]}.cut",
            "namespace": pod.workload.namespace,
        },
        "type": "Warning",
        "reason": CHECKPOINT_CUT,
        "message": f"pod {pod.name} {why}: a checkpoint may be lost. gracekeeper gives its next run more time",
        "involvedObject": {**about, "namespace": pod.workload.namespace},
        "source": {"component": _COMPONENT},
        "reportingComponent": _COMPONENT,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }
