"""What OSMO's backend listener makes of a pod: the rules of v6.2-rc6, on a pod's JSON.

Law: the first finished status stays; the service never overwrites it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from e2e.osmo.pods import CTRL, INIT

Pod = Mapping[str, Any]

OFFSETS = {INIT: 255, "preflight-test": 1000, CTRL: 2000}
"""Added to a container's exit code."""
BACKEND_ERROR, START_ERROR, EVICTED, PREEMPTED, UNKNOWN = 3001, 3003, 3004, 3006, 4000
WAITING_CODES = {
    "ImagePullBackOff": 301,
    "ErrImagePull": 302,
    "ContainerCreateConfigError": 303,
    "CrashLoopBackOff": 304,
    "ContainerStatusUnknown": 305,
}
OTHER_WAITING_CODE = 999
WAITING_FAILURES = ("Failed", "BackOff", "Error", "ErrImagePull", "ImagePullBackOff", "ContainerStatusUnknown")
PHASES = {"Pending": "SCHEDULING", "Running": "RUNNING", "Succeeded": "COMPLETED", "Failed": "FAILED"}
NOT_FINAL = ("SCHEDULING", "INITIALIZING", "RUNNING")


@dataclass(frozen=True, slots=True)
class Report:
    """A status of OSMO's, and the exit code that goes with it."""

    status: str
    exit_code: int | None = None

    @property
    def is_final(self) -> bool:
        """Whether OSMO's service takes it for the end."""
        return self.status not in NOT_FINAL


def first_final(versions: Iterable[Pod]) -> Report | None:
    """What the service keeps, of the reports on a pod's successive versions."""
    reports = (report(pod) for pod in versions if _status(pod).get("phase") in PHASES)
    return next((each for each in reports if each.is_final), None)


def report(pod: Pod) -> Report:
    """The status of one version of a pod."""
    if any(_holds(condition) and condition.get("reason") == "PreemptionByScheduler" for condition in _conditions(pod)):
        return Report("FAILED_PREEMPTED", PREEMPTED)
    final_report = _of_phase(pod)
    waiting = next(_waiting_failures(pod), None)
    if waiting is not None:
        final_report = waiting
    reason = _status(pod).get("reason")
    if reason == "Evicted":
        return Report("FAILED_EVICTED", EVICTED)
    if reason == "StartError":
        return Report("FAILED_START_ERROR", START_ERROR)
    if reason == "UnexpectedAdmissionError" or any(
        _holds(condition) and condition.get("type") == "DisruptionTarget" for condition in _conditions(pod)
    ):
        return Report("FAILED_BACKEND_ERROR", BACKEND_ERROR)
    return final_report


def _of_phase(pod: Pod) -> Report:
    status = PHASES[_status(pod)["phase"]]
    if any(_waits(state) in {"ContainerCreating", "PodInitializing"} for _, state in _states(pod, "init")):
        return Report("INITIALIZING")
    if status == "RUNNING":
        return _of_running(pod)
    if status == "FAILED":
        codes, reasons = _failures(pod)
        if "OOMKilled" in reasons:
            return Report("FAILED_EVICTED", EVICTED)
        return Report(status, max(codes, default=UNKNOWN))
    return Report(status, 0 if status == "COMPLETED" else None)


def _of_running(pod: Pod) -> Report:
    """Only regular containers are looked at: one that ended early ends the task where it is osmo-ctrl."""
    for name, state in _states(pod, "regular"):
        ended = state.get("terminated")
        if ended and (name == CTRL or ended.get("reason") == "StartError"):
            codes, _ = _failures(pod)
            if codes:
                return Report("FAILED", max(codes))
    return Report("RUNNING")


def _failures(pod: Pod) -> tuple[list[int], set[str]]:
    """The exit codes, with their offsets, and the reasons of the containers that did not complete."""
    codes, reasons = [], set()
    for name, state in (*_states(pod, "init"), *_states(pod, "regular")):
        ended = state.get("terminated")
        if ended and ended.get("reason") != "Completed":
            codes.append(OFFSETS.get(name, 0) + _code(name, ended))
            reasons.add(ended.get("reason", ""))
    return codes, reasons


def _code(name: str, ended: Mapping[str, Any]) -> int:
    """The exit code; for osmo-ctrl the one in its termination message, where there is one."""
    if name == CTRL:
        try:
            message = json.loads(ended.get("message") or "")
        except json.JSONDecodeError:
            message = {}
        if isinstance(message, dict) and "code" in message:
            return int(message["code"])
    return int(ended["exitCode"])


def _waiting_failures(pod: Pod) -> Iterator[Report]:
    for name, state in (*_states(pod, "regular"), *_states(pod, "init")):
        reason = _waits(state)
        if not any(part in reason for part in WAITING_FAILURES):
            continue
        code = OFFSETS.get(name, 0) + WAITING_CODES.get(reason, OTHER_WAITING_CODE)
        if reason in {"ErrImagePull", "ImagePullBackOff"}:
            yield Report("FAILED_IMAGE_PULL", code)
        elif reason in {"CreateContainerConfigError", "ContainerStatusUnknown"}:
            yield Report("SCHEDULING")  # an error after 10 or 30 minutes, which no test waits for
        else:
            yield Report("FAILED", code)


def _waits(state: Mapping[str, Any]) -> str:
    return (state.get("waiting") or {}).get("reason") or ""


def _states(pod: Pod, which: str) -> list[tuple[str, Mapping[str, Any]]]:
    statuses = _status(pod).get("initContainerStatuses" if which == "init" else "containerStatuses") or ()
    return [(status["name"], status.get("state") or {}) for status in statuses]


def _conditions(pod: Pod) -> Iterable[Mapping[str, Any]]:
    return _status(pod).get("conditions") or ()


def _holds(condition: Mapping[str, Any]) -> bool:
    return condition.get("status") == "True"


def _status(pod: Pod) -> Mapping[str, Any]:
    status: Mapping[str, Any] = pod.get("status") or {}
    return status
