"""Recorded ends of pods, what each is, and how a watch that saw them tells it."""

import json
from pathlib import Path
from typing import Any

from webhook.policy.observed.history import PodHistory, first_seen, next_seen
from webhook.policy.observed.termination import Termination, TerminationClass, termination_of
from webhook.policy.pod import read_pod
from webhook.policy.pod.status import read_status

RECORDED = Path(__file__).parent / "recorded" / "terminations"
FILES = sorted(RECORDED.glob("*/*.jsonl"))
NEWEST = RECORDED / "v1.37.2"
SECONDS_THAT_A_POD_RAN = 5
"""The shortest that teaches, in these tests: every recorded pod but one ran for longer."""

Event = dict[str, Any]

EXPECTED = {
    "stopped": (TerminationClass.STOPPED, 8),
    "stopped-143": (TerminationClass.STOPPED, 6),
    "stopped-fast": (TerminationClass.STOPPED, 3),
    "cut": (TerminationClass.CUT, 10),
    "ignores": (TerminationClass.CUT, 10),
    "no-handler": (TerminationClass.NO_HANDLER, None),
    "no-handler-pre-stop": (TerminationClass.NO_HANDLER, None),
    "second-clock": (TerminationClass.SECOND_CLOCK, 30),
    "failed-while-saving": (TerminationClass.UNKNOWN, None),
    "killed-early": (TerminationClass.KILLED_EARLY, 4),
    "oom": (TerminationClass.OOM, None),
    "evicted-by-its-disk": (TerminationClass.EVICTED, None),
    "evicted-by-the-api": (TerminationClass.STOPPED, 8),
    "force-deleted": (TerminationClass.OVERRIDDEN, None),
    "overridden": (TerminationClass.OVERRIDDEN, None),
    "deleted-again": (TerminationClass.STOPPED, 15),
    "too-young": (TerminationClass.TOO_YOUNG, None),
    "uploads-beside": (TerminationClass.STOPPED, 5),
    "in-a-job": (TerminationClass.STOPPED, 6),
    "gang-broken": (TerminationClass.GANG_BROKEN, None),
    "kubelet-restarted": (TerminationClass.STOPPED, 20),
    "node-lost": (TerminationClass.UNKNOWN, None),
}
"""Class and seconds of each scenario, by what its pod does (scripts/terminations.py)."""


def events_of(file: Path) -> list[Event]:
    return [json.loads(line) for line in file.read_text().splitlines()[1:]]


def histories_of(events: list[Event]) -> list[PodHistory]:
    """What a watch that saw these events knows of each pod; the pod that was deleted last comes first."""
    histories: dict[str, PodHistory] = {}
    for event in events:
        manifest, is_gone = event["object"], event["type"] == "DELETED"
        status = read_status(manifest)
        before = histories.get(status.uid) or first_seen(read_pod(manifest), status)
        histories[status.uid] = next_seen(before, status, is_gone=is_gone)
    return list(histories.values())


def classified(events: list[Event], minimum_run_seconds: int = SECONDS_THAT_A_POD_RAN) -> Termination | None:
    """How the first pod of a recording ended."""
    pod, *peers = histories_of(events)
    return termination_of(pod, peers, minimum_run_seconds=minimum_run_seconds)
