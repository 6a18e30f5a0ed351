"""Four runs of five workloads of which nobody says anything: the grace of each run, and how its trainer ended."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.pictures import svg
from webhook.policy.configuration import Config, Defaults, Observer
from webhook.policy.door import decide, first_look
from webhook.policy.facts import Facts, Namespace
from webhook.policy.observed.memory import Memory, remembering
from webhook.policy.observed.termination import Termination, TerminationClass
from webhook.policy.pod import read_pod

RUNS = 4
_CONFIG = Config(
    observer=Observer(enabled=True), defaults=Defaults(unknown_size_grace_seconds=60, maximum_grace_seconds=180)
)
"""As in e2e/test_learning.py: short, so that a run ends within minutes."""
_NAMESPACE = "learning"
_DAY_SECONDS = 24 * 3600
_LEFT, _BARS, _TOP, _RUN_HEIGHT, _BLOCK_HEIGHT = 36, 96, 82, 20, 118
_LONGEST_SECONDS = 180
_ROOM_FOR_WORDS = 190


@dataclass(frozen=True, slots=True)
class Workload:
    """What a trainer does on SIGTERM."""

    name: str
    title: str
    saves_seconds: int | None
    """None where it ignores the signal, 0 where it ends at once."""
    has_sign: bool = False
    """Whether something shows that it saves."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run: the grace that it had, and how long its trainer took of that."""

    grace_seconds: int
    took_seconds: int
    was_cut: bool


WORKLOADS = (
    Workload("saves-quickly", "It saves in 10 s", 10),
    Workload("saves-slowly", "It saves in 45 s", 45),
    Workload("saves-very-slowly", "It saves in 100 s", 100),
    Workload("ignores-sigterm", "It ignores SIGTERM", None),
    Workload("no-handler-but-a-sign", "It has no handler, and a path named after checkpoints", 0, has_sign=True),
)


def learning(recorded: Path) -> str:
    """Return the picture: of recorded runs where there are some, else of what the policy decides from run to run."""
    if recorded.exists():
        record = json.loads(recorded.read_text(encoding="utf-8"))
        runs = {name: [Run(*run) for run in rows] for name, rows in record["runs"].items()}
        source = f"Recorded by e2e/test_learning.py on Kubernetes {record['kubernetes']}, {record['day']}"
    else:
        runs = {workload.name: played(workload) for workload in WORKLOADS}
        source = "The policy decides each run here after the ends of the runs before."
    drawn = [workload for workload in WORKLOADS if workload.name in runs]
    blocks = [shape for index, each in enumerate(drawn) for shape in _block(index, each.title, runs[each.name])]
    floor = _TOP + len(drawn) * _BLOCK_HEIGHT - 12
    below = ("seconds after SIGTERM; the default for an unknown size is 60 s here, the maximum 180 s", source)
    shapes = [
        svg.text(_LEFT, 30, "Four runs of workloads of which nobody says anything", "ink strong"),
        *_key(),
        *blocks,
        *_axis(floor),
        *(svg.text(_LEFT, floor + 44 + 20 * row, words, "soft") for row, words in enumerate(below)),
    ]
    return svg.drawn(floor + 82, "The grace of four runs, and how each trainer ended, for some workloads", shapes)


def played(workload: Workload) -> list[Run]:
    """Return the runs of a workload, one after the other, each with what the ends before it teach."""
    memory, runs = Memory(), list[Run]()
    env = [{"name": "CHECKPOINT_DIR", "value": "/checkpoints"}] if workload.has_sign else []
    container = {"name": "trainer", "image": "train:1", "command": ["python3", "train.py"], "env": env}
    pod: dict[str, Any] = {
        "metadata": {"labels": {"training.kubeflow.org/job-name": "j"}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 30},
    }
    look = first_look(read_pod(pod), Namespace(_NAMESPACE), _CONFIG)
    exact, coarse = look.lookups.workload_names or ("", "")
    for number in range(1, RUNS + 1):
        samples = (memory.samples_of(_NAMESPACE, name) for name in (exact, coarse))
        decision = decide(look, Facts(exact_runs=next(samples), coarse_runs=next(samples)))
        run = _run(workload, decision.grace_seconds or look.pod.grace_seconds)
        runs.append(run)
        for name in (exact, coarse):
            memory = remembering(memory, (_NAMESPACE, name), _end(workload, run, number * _DAY_SECONDS))
    return runs


def _run(workload: Workload, grace: int) -> Run:
    if workload.saves_seconds is None or workload.saves_seconds > grace:
        return Run(grace, grace, was_cut=True)
    return Run(grace, workload.saves_seconds, was_cut=False)


def _end(workload: Workload, run: Run, began: int) -> Termination:
    in_time = TerminationClass.STOPPED if workload.saves_seconds else TerminationClass.NO_HANDLER
    kind = TerminationClass.CUT if run.was_cut else in_time
    return Termination(kind, run.took_seconds, run.grace_seconds, began=began)


def _x(seconds: float) -> float:
    return _BARS + seconds * (svg.WIDTH - _ROOM_FOR_WORDS - _BARS) / _LONGEST_SECONDS


def _block(index: int, title: str, runs: Sequence[Run]) -> Iterator[str]:
    top = _TOP + index * _BLOCK_HEIGHT
    yield svg.text(_LEFT, top + 12, title, "ink strong")
    for number, run in enumerate(runs[:RUNS]):
        y = top + 20 + number * _RUN_HEIGHT
        yield svg.text(_LEFT, y + 12, f"run {number + 1}", "soft")
        yield svg.thin_bar(_x(0), _x(run.grace_seconds), y, "reserve")
        if run.took_seconds and not run.was_cut:
            yield svg.thin_bar(_x(0), _x(run.took_seconds), y, "write")
        in_time = "safe" if run.took_seconds else "soft"
        if run.was_cut or run.took_seconds:
            end = _x(run.took_seconds)
            yield svg.line(end, y - 2, end, y + 16, "kill" if run.was_cut else "safe")
        yield svg.text(_x(run.grace_seconds) + 8, y + 12, _words(run), "kill" if run.was_cut else in_time)


def _words(run: Run) -> str:
    if run.was_cut:
        return f"{run.grace_seconds} s: cut"
    return f"{run.grace_seconds} s: " + (
        f"over after {run.took_seconds} s" if run.took_seconds else "over at once, nothing is saved"
    )


def _key() -> Iterator[str]:
    for x, kind, label in ((_LEFT, "reserve", "the grace"), (_LEFT + 130, "write", "a save that ends in time")):
        yield svg.thin_bar(x, x + 26, 46, kind)
        yield svg.text(x + 34, 58, label, "ink")
    yield svg.line(_LEFT + 360, 44, _LEFT + 360, 62, "kill")
    yield svg.text(_LEFT + 368, 58, "SIGKILL", "ink")


def _axis(y: float) -> Iterator[str]:
    yield svg.line(_x(0), y, _x(_LONGEST_SECONDS), y, "grid")
    for seconds in range(0, _LONGEST_SECONDS + 1, 30):
        yield svg.line(_x(seconds), y - 4, _x(seconds), y, "grid")
        yield svg.text(_x(seconds), y + 18, str(seconds), "soft", "middle")


def record(runs: Mapping[str, Sequence[Run]], kubernetes: str, day: str) -> str:
    """Return recorded runs as the text of the file that `learning` reads."""
    rows = {name: [[run.grace_seconds, run.took_seconds, run.was_cut] for run in each] for name, each in runs.items()}
    return json.dumps({"kubernetes": kubernetes, "day": day, "runs": rows}, indent=1) + "\n"
