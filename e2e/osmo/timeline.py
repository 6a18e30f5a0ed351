"""A run's shutdown as data for a picture: containers and phases, in seconds after the deletion."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from e2e.osmo import pods
from e2e.osmo.runs import Run

PHASES = (
    ("save", "save begins", "save ends"),
    ("checkpoint upload", "checkpoint upload begins", "checkpoint upload ends"),
    ("output upload", "upload begins", "upload ends"),
    ("log backlog", "log backlog", None),
)
"""Name, first event, last event; without a last one it ends with the pod."""


def timeline(run: Run) -> dict[str, Any]:
    """When each container and each phase began and ended, None where that was before the deletion or never."""
    deleted = run.moments["deleted"]
    names = [container["name"] for container in pods.containers(run.pod)]
    return {
        "mode": run.mode,
        "seconds": max(_ended(run, name, deleted) for name in names),
        "grace_seconds": run.pod["spec"]["terminationGracePeriodSeconds"],
        "phase": run.phase,
        "saved": run.happened("save ends"),
        "uploaded": run.happened("upload ends"),
        "containers": [
            {
                "container": container["name"],
                "ended": _ended(run, container["name"], deleted),
                **_outcome(run, container),
            }
            for container in pods.containers(run.pod)
            if container["name"] not in {pods.INIT, "gracekeeper-init"}
        ],
        "phases": list(_phases(run, deleted)),
    }


def _ended(run: Run, container: str, deleted: float) -> float:
    """By what the watch saw, which is finer than the whole seconds of `finishedAt`."""
    seen = next(
        (version.seconds for version in run.versions if _has_ended(version.pod, container)), run.over or deleted
    )
    finished = datetime.fromisoformat(run.ended(container)["finishedAt"]).timestamp()
    return round(max(0.0, min(seen, finished + 1) - deleted), 1)


def _has_ended(pod: Any, container: str) -> bool:
    status = pod["status"]
    listed = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    return any(status["name"] == container and "terminated" in status.get("state", {}) for status in listed)


def _outcome(run: Run, container: Any) -> dict[str, Any]:
    ended = run.ended(container["name"])
    message = ended.get("message", "")
    return {"exit_code": ended["exitCode"], "message": json.loads(message) if message.startswith("{") else message}


def _phases(run: Run, deleted: float) -> Iterator[dict[str, Any]]:
    over = run.over or deleted
    for name, first, last in PHASES:
        begins = [event.seconds for event in run.events if event.event == first and event.seconds >= deleted]
        ends = [event.seconds for event in run.events if event.event == last and event.seconds >= deleted]
        if begins:
            whole = bool(ends) or last is None
            end = ends[-1] if ends else over
            yield {
                "phase": name,
                "begins": round(begins[0] - deleted, 1),
                "ends": round(end - deleted, 1),
                "whole": whole,
            }
