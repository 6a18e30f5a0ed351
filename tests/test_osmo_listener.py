"""What OSMO's listener (v6.2-rc6) makes of pods, as the e2e tests apply its rules."""

import pytest

from e2e.osmo.listener import Report, first_final, report

RUNNING = {"running": {"startedAt": "2026-11-25T13:00:00Z"}}
CREATING = {"waiting": {"reason": "PodInitializing"}}


def ended(code: int, message: str = "", reason: str | None = None):
    state = {"exitCode": code, "reason": reason or ("Completed" if code == 0 else "Error")}
    return {"terminated": {**state, **({"message": message} if message else {})}}


def waiting(reason: str):
    return {"waiting": {"reason": reason}}


def a_pod(phase, user, ctrl, *, native=False, others=None, **status):
    init: list[object] = [{"name": "osmo-init", "state": (others or {}).get("init", ended(0))}]
    regular: list[object] = [{"name": "train", "state": user}]
    (init if native else regular).append({"name": "osmo-ctrl", "state": ctrl})
    if others and "gate" in others:
        regular.append({"name": "gracekeeper-gate", "state": others["gate"]})
    return {"status": {"phase": phase, "initContainerStatuses": init, "containerStatuses": regular, **status}}


def condition(kind: str, reason: str, status: str = "True"):
    return [{"type": kind, "reason": reason, "status": status}]


DISRUPTED = condition("DisruptionTarget", "EvictionByEvictionAPI")
PREEMPTED = condition("DisruptionTarget", "PreemptionByScheduler")

CASES = {
    "scheduled": (a_pod("Pending", CREATING, CREATING, others={"init": RUNNING}), Report("SCHEDULING")),
    "the first init container starts": (
        a_pod("Pending", CREATING, CREATING, others={"init": CREATING}),
        Report("INITIALIZING"),
    ),
    "runs": (a_pod("Running", RUNNING, RUNNING), Report("RUNNING")),
    "uploads": (a_pod("Running", ended(0), RUNNING), Report("RUNNING")),
    "the user's container failed, osmo-ctrl uploads": (a_pod("Running", ended(3), RUNNING), Report("RUNNING")),
    "succeeded": (a_pod("Succeeded", ended(0), ended(0, '{"code":0}')), Report("COMPLETED", 0)),
    "deleted in training, no webhook": (a_pod("Failed", ended(2), ended(1)), Report("FAILED", 2001)),
    "deleted in training, native": (
        a_pod("Failed", ended(143), ended(1, '{"code":1}'), native=True, others={"gate": ended(0)}),
        Report("FAILED", 2001),
    ),
    "deleted in training, native, the other setting": (
        a_pod("Failed", ended(143), ended(0), native=True, others={"gate": ended(0)}),
        Report("FAILED", 143),
    ),
    "the user command failed": (a_pod("Failed", ended(3), ended(0)), Report("FAILED", 3)),
    "the uploader failed": (a_pod("Failed", ended(0), ended(2, '{"code":31}')), Report("FAILED", 2031)),
    "the uploader failed, native": (
        a_pod("Failed", ended(0), ended(2, '{"code":31}'), native=True, others={"gate": ended(1)}),
        Report("FAILED", 2031),
    ),
    "the uploader failed, native without a gate": (
        a_pod("Succeeded", ended(0), ended(2, '{"code":31}'), native=True),
        Report("COMPLETED", 0),
    ),
    "osmo-ctrl ended while the task runs": (a_pod("Running", RUNNING, ended(2)), Report("FAILED", 2002)),
    "osmo-ctrl ended while the task runs, native": (
        a_pod("Running", RUNNING, ended(2), native=True),
        Report("RUNNING"),
    ),
    "osmo-ctrl completed a moment before the pod": (a_pod("Running", ended(0), ended(0)), Report("RUNNING")),
    "osmo-ctrl completed before the pod, the command failed": (
        a_pod("Running", ended(3), ended(0)),
        Report("FAILED", 3),
    ),
    "killed": (a_pod("Failed", ended(0), ended(137), native=True, others={"gate": ended(1)}), Report("FAILED", 2137)),
    "out of memory": (a_pod("Failed", ended(0), ended(137, reason="OOMKilled")), Report("FAILED_EVICTED", 3004)),
    "a message that is no JSON": (a_pod("Failed", ended(0), ended(7, "killed")), Report("FAILED", 2007)),
    "a message without a code": (a_pod("Failed", ended(0), ended(7, "{}")), Report("FAILED", 2007)),
    "osmo-init failed": (a_pod("Failed", CREATING, CREATING, others={"init": ended(1)}), Report("FAILED", 256)),
    "cannot start": (
        a_pod("Running", ended(128, reason="StartError"), RUNNING),
        Report("FAILED", 128),
    ),
    "no image": (a_pod("Pending", waiting("ErrImagePull"), RUNNING), Report("FAILED_IMAGE_PULL", 302)),
    "still no image": (a_pod("Pending", waiting("ImagePullBackOff"), RUNNING), Report("FAILED_IMAGE_PULL", 301)),
    "osmo-ctrl has no image, native": (
        a_pod("Pending", CREATING, waiting("ErrImagePull"), native=True),
        Report("FAILED_IMAGE_PULL", 2302),
    ),
    "a Secret is missing": (a_pod("Pending", waiting("CreateContainerConfigError"), RUNNING), Report("SCHEDULING")),
    "osmo-ctrl crashed twice, native": (
        a_pod("Running", RUNNING, waiting("CrashLoopBackOff"), native=True),
        Report("FAILED", 2304),
    ),
    "evicted by the API": (
        a_pod("Running", RUNNING, RUNNING, conditions=DISRUPTED),
        Report("FAILED_BACKEND_ERROR", 3001),
    ),
    "evicted, and saved": (
        a_pod("Failed", ended(143), ended(1), conditions=DISRUPTED),
        Report("FAILED_BACKEND_ERROR", 3001),
    ),
    "preempted by the scheduler": (
        a_pod("Running", RUNNING, RUNNING, conditions=PREEMPTED),
        Report("FAILED_PREEMPTED", 3006),
    ),
    "a condition that does not hold": (
        a_pod("Running", RUNNING, RUNNING, conditions=condition("DisruptionTarget", "", "False")),
        Report("RUNNING"),
    ),
    "evicted by the kubelet": (
        a_pod("Failed", ended(137), ended(137), reason="Evicted"),
        Report("FAILED_EVICTED", 3004),
    ),
    "a GPU has gone": (
        a_pod("Failed", CREATING, CREATING, reason="UnexpectedAdmissionError"),
        Report("FAILED_BACKEND_ERROR", 3001),
    ),
    "a start error of the pod": (
        a_pod("Failed", CREATING, CREATING, reason="StartError"),
        Report("FAILED_START_ERROR", 3003),
    ),
    "nothing is known of its containers": ({"status": {"phase": "Failed"}}, Report("FAILED", 4000)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_pod_is_reported_as_the_listener_would(name):
    pod, expected = CASES[name]
    assert report(pod) == expected


def test_the_first_final_status_stays():
    versions = [
        a_pod("Running", RUNNING, RUNNING),
        a_pod("Running", RUNNING, RUNNING, conditions=DISRUPTED),
        a_pod("Succeeded", ended(0), ended(0)),
    ]
    assert first_final(versions) == Report("FAILED_BACKEND_ERROR", 3001)


def test_a_pod_of_unknown_phase_is_passed_over():
    assert first_final([{"status": {"phase": "Unknown"}}, {"status": {}}]) is None
