"""A training pod about which nobody says anything gets the grace that its earlier runs needed, on a real kubelet.

The rows of one file run side by side, each with one pod after the other. The default grace is 60 s here and the maximum
180 s, and a run of 5 s teaches.
"""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import pytest

from e2e import pods
from scripts.pictures.learning import Run, record
from scripts.terminations import IGNORES, saves_for
from tools.cluster.settings import BUILD
from tools.kube import Json, eventually
from webhook.policy.observed.memory import DATA_KEY, memory_in
from webhook.policy.prefix import WORKLOAD_LABELS

NAMESPACE = "learning"
RECORD = BUILD / "learning-runs.json"
EVIDENCE_SECONDS, MAXIMUM_SECONDS, MINIMUM_RUN_SECONDS = 60, 180, 5
VALUES = {
    "observer": {"writeSeconds": 1},
    "config": {
        "defaults": {"unknownSizeGraceSeconds": EVIDENCE_SECONDS, "maximumGraceSeconds": MAXIMUM_SECONDS},
        "observer": {"minimumRunSeconds": MINIMUM_RUN_SECONDS},
    },
}
REPLICAS = 2
OVER_SECONDS = 240
LEARNED_SECONDS = 30
"""From a pod's end to a server that knows of it: a watch, a write, another watch."""


ENDED_BY_ITS_INIT = (
    "import os, signal, subprocess, sys\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time\\nwhile True: time.sleep(0.1)'])\n"
    "signal.signal(signal.SIGTERM, lambda *_: child.send_signal(signal.SIGTERM))\n"
    "code = child.wait()\n"
    "os._exit(143 if code == -signal.SIGTERM else code)\n"
)
"""A program without a handler below an init such as tini, which hands SIGTERM on and ends as its child did."""
FAILS_SOON = "import time\ntime.sleep(3)\nraise SystemExit(1)\n"
GANG_LABEL = "jobset.sigs.k8s.io/jobset-name"


@dataclass(frozen=True, slots=True)
class Row:
    """A workload: what its trainer does on SIGTERM, how each of its runs is deleted, and the grace that each should have."""

    program: str
    graces: Sequence[tuple[int, int]]
    """Of each run, from and to."""
    delete: Sequence[str] = ()
    """Options of `kubectl delete pod`, in every run."""
    teaches_nothing: str = ""
    """The class of each of its ends, where that teaches nothing; empty where each end is remembered."""
    peer: str = ""
    """The program of another pod of its gang, which ends by itself before the first is deleted; empty: it has none."""
    release: bool = False
    """Whether the row takes too long for CI."""
    shell: str = ""
    """A line for a shell that starts the program, which it has as $PROGRAM; empty: the program starts by itself."""
    env: Mapping[str, str] = field(default_factory=dict)


ROWS: Mapping[str, Row] = {
    "saves-slowly": Row(saves_for(45), [(30, 30), (60, 60), (80, 88)]),
    "saves-quickly": Row(saves_for(10), [(30, 30), (30, 34), (30, 34)]),
    "deleted-with-a-shorter-grace": Row(
        saves_for(25), [(30, 30), (30, 30)], delete=["--grace-period=5"], teaches_nothing="overridden"
    ),
    "after-a-peer-failed": Row(saves_for(45), [(30, 30), (30, 30)], peer=FAILS_SOON, teaches_nothing="gang-broken"),
    "saves-very-slowly": Row(
        saves_for(100), [(30, 30), (60, 60), (180, 180), (180, 180), (180, 180), (163, 172)], release=True
    ),
    "behind-a-shell": Row(
        saves_for(10), [(30, 30), (30, 30), (30, 30)], release=True, shell='python3 -u -c "$PROGRAM"; echo done'
    ),
    "no-handler-but-a-sign": Row(
        ENDED_BY_ITS_INIT, [(60, 60), (60, 60), (30, 30)], release=True, env={"CHECKPOINT_DIR": "/checkpoints"}
    ),
    "ignores-sigterm": Row(IGNORES, [(30, 30), (60, 60), (180, 180), (30, 30)], release=True),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """One run as the cluster showed it."""

    pod: Json
    """As it was created."""
    events: Sequence[str]
    """Reasons of the Events on it afterwards."""
    end: Run | None
    """As the observer remembers it; None where it taught nothing."""


def a_trainer(row: str, run: int, image: str) -> Json:
    """A pod that is recognised, and of which nobody says how much it saves; its name is the run's own.

    The program gets the row's name, in which no digit is: the rows would else have one coarse name.
    """
    name = f"{row}-{run}"
    played = ROWS[row]
    command = ("sh", "-c", played.shell, row) if played.shell else ("python3", "-u", "-c", played.program, row)
    gang = {GANG_LABEL: name} if played.peer else {}
    pod = pods.a_pod(name, labels={"training.kubeflow.org/job-name": name, **gang}, command=command)
    del pod["spec"]["schedulingGates"]
    env = {**played.env, **({"PROGRAM": played.program} if played.shell else {})}
    variables = [{"name": name, "value": value} for name, value in env.items()]
    pod["spec"]["containers"][0] |= {"image": image, "imagePullPolicy": "Never", "env": variables}
    return {**pod, "spec": {**pod["spec"], "restartPolicy": "Never"}}


def a_peer(row: str, run: int, image: str) -> Json:
    """Another pod of the run's gang."""
    pod = a_trainer(row, run, image)
    pod["metadata"]["name"] += "-peer"
    pod["spec"]["containers"][0]["command"][-2] = ROWS[row].peer
    return pod


class Runs:
    """Plays the rows that a session asks for, all of them side by side, once."""

    def __init__(self, kube, release, image: str, rows: Sequence[str]) -> None:
        self._kube, self._release, self._image = kube, release, image
        self._pool = ThreadPoolExecutor(max(1, len(rows)))
        self._played: Mapping[str, Future[list[Seen]]] = {
            row: self._pool.submit(partial(self._play, row)) for row in rows
        }

    def of(self, row: str) -> list[Seen]:
        return self._played[row].result()

    def end(self) -> None:
        self._pool.shutdown()

    def _play(self, row: str) -> list[Seen]:
        return [self._run(row, number) for number in range(1, len(ROWS[row].graces) + 1)]

    def _run(self, row: str, number: int) -> Seen:
        kube, manifest = self._kube, a_trainer(row, number, self._image)
        name = manifest["metadata"]["name"]
        created = kube.create_pod(NAMESPACE, manifest)
        self._wait_for_phase("Running", name)
        if ROWS[row].peer:
            peer = kube.create_pod(NAMESPACE, a_peer(row, number, self._image))
            self._wait_for_phase("Failed", peer["metadata"]["name"])
        time.sleep(MINIMUM_RUN_SECONDS + 4)
        kube("delete", "pod", name, f"-n{NAMESPACE}", "--wait=false", *ROWS[row].delete)
        eventually(lambda: not kube.exists("pod", name, NAMESPACE), f"{name} is gone", OVER_SECONDS)
        self._wait_for_lesson(name, ROWS[row].teaches_nothing)
        time.sleep(2)  # the servers' watch of it
        return Seen(created, self._events_of(name), self._end_of(name))

    def record(self, kubernetes: str) -> None:
        """Keep what the rows showed, for the picture of docs/learning.md (scripts/pictures/learning.py)."""
        whole = {row: played.result() for row, played in self._played.items() if played.exception() is None}
        ends = {row: [seen.end for seen in runs if seen.end is not None] for row, runs in whole.items()}
        RECORD.parent.mkdir(exist_ok=True)
        RECORD.write_text(record(ends, kubernetes, datetime.now(UTC).date().isoformat()), encoding="utf-8")

    def _end_of(self, name: str) -> Run | None:
        data = self._kube.get("configmap", f"{self._release.name}-terminations", self._release.namespace).get("data")
        entries = memory_in((data or {}).get(DATA_KEY)).entries.values()
        sample = next((entry.samples[-1] for entry in entries if entry.owner == name), None)
        return None if sample is None else Run(sample.granted_seconds, sample.seconds, sample.lesson.is_cut)

    def _wait_for_phase(self, phase: str, name: str) -> None:
        words = ("get", "pod", name, f"-n{NAMESPACE}", "-ojsonpath={.status.phase}")
        eventually(lambda: self._kube(*words) == phase, f"{name} is {phase}", OVER_SECONDS)

    def _wait_for_lesson(self, name: str, teaches_nothing: str) -> None:
        """Wait until the pod's end is remembered, or was seen to be of a class that teaches nothing."""
        try:
            if teaches_nothing:
                seen = f'"termination":"{teaches_nothing}"'
                eventually(lambda: seen in str(self._log_of_observer(f'"{name}"')), f"{name}: {seen}", LEARNED_SECONDS)
                assert name not in self._remembered()
            else:
                eventually(lambda: name in self._remembered(), f"{name} is remembered", LEARNED_SECONDS)
        except AssertionError as error:
            error.add_note(f"the observer said: {self._log_of_observer(name)}")
            raise

    def _remembered(self) -> str:
        """The memory, in which each workload has the name of its last run's owner: here the pod."""
        memory: Json = self._kube.get("configmap", f"{self._release.name}-terminations", self._release.namespace)
        return str((memory.get("data") or {}).get(DATA_KEY))

    def _log_of_observer(self, name: str) -> Sequence[str]:
        log: str = self._kube("logs", f"deployment/{self._release.name}-observer", f"-n{self._release.namespace}")
        return [line for line in log.splitlines() if name in line or '"warning"' in line]

    def _events_of(self, name: str) -> Sequence[str]:
        selector = f"--field-selector=involvedObject.name={name}"
        reasons: str = self._kube("get", "events", f"-n{NAMESPACE}", selector, "-ojsonpath={.items[*].reason}")
        return reasons.split()


@pytest.fixture(scope="module")
def runs(request, kube, release, trainer_image):
    release.upgrade("--set=supervise.prePull.enabled=true", **VALUES)
    # A replica that drains still answers, and writes no labels.
    eventually(lambda: len(release.pods()) == REPLICAS, "the former pods are gone", OVER_SECONDS)
    kube.make_namespace(NAMESPACE)
    chosen = {item.callspec.params.get("row") for item in request.session.items if hasattr(item, "callspec")}
    rows = [name for name in ROWS if name in chosen]
    runs = Runs(kube, release, trainer_image, rows)
    yield runs
    runs.end()
    runs.record(kube("get", "nodes", "-ojsonpath={.items[0].status.nodeInfo.kubeletVersion}").lstrip("v"))
    kube.remove_namespaces(NAMESPACE)
    release.upgrade()


ALL = [pytest.param(name, marks=[pytest.mark.release] * row.release) for name, row in ROWS.items()]


@pytest.mark.parametrize("row", ALL)
def test_given_a_trainer_of_which_nobody_says_anything_then_each_run_has_the_grace_that_the_earlier_ones_taught(
    runs, row
):
    graces = [pods.grace_seconds(seen.pod) for seen in runs.of(row)]
    expected = ROWS[row].graces
    assert all(fewest <= grace <= most for grace, (fewest, most) in zip(graces, expected, strict=True)), graces


def test_given_a_save_that_was_cut_then_the_pod_s_owner_is_told_and_the_next_decision_says_why(runs):
    first, second, third = runs.of("saves-slowly")
    assert "CheckpointCut" in first.events
    assert "CheckpointCut" not in second.events
    assert "observed" in str(pods.decision(second.pod))
    assert "1 run cut in 30 days" in str(pods.decision(second.pod))
    assert "longest of 1 stop in 30 days" in str(pods.decision(third.pod))


def test_given_a_peer_that_failed_before_then_the_runs_are_of_one_workload_and_nobody_is_told_of_a_cut(runs):
    first, second = runs.of("after-a-peer-failed")
    assert workload_of(first.pod) == workload_of(second.pod)
    assert "CheckpointCut" not in (*first.events, *second.events)


def workload_of(pod: Json) -> Mapping[str, str]:
    """The labels by which the observer knows a workload again; an assertion where the pod has none."""
    labels = {name: pod["metadata"]["labels"][name] for name in WORKLOAD_LABELS}
    assert all(labels.values())
    return labels


@pytest.mark.release
def test_given_a_trainer_that_ignores_sigterm_then_its_owner_is_told(runs):
    assert "ignores SIGTERM" in str(pods.decision(runs.of("ignores-sigterm")[-1].pod))


@pytest.mark.release
def test_given_a_trainer_behind_a_shell_when_its_save_was_lost_then_the_next_runs_start_through_supervise(runs):
    """The signal is cured, and no grace is raised: with it the save fits into 30 s."""
    first, second, third = runs.of("behind-a-shell")
    commands = [seen.pod["spec"]["containers"][0]["command"][0] for seen in (first, second, third)]
    assert [command.endswith("/supervise") for command in commands] == [False, True, True]
    assert "CheckpointCut" in first.events
    assert "CheckpointCut" not in second.events
    assert "longest of 1 stop in 30 days" in str(pods.decision(third.pod))


@pytest.mark.release
def test_given_a_trainer_without_a_handler_then_the_default_is_withdrawn_and_its_owner_is_told(runs):
    decision = str(pods.decision(runs.of("no-handler-but-a-sign")[-1].pod))
    assert "2 runs ended at once" in decision
    assert "has no handler that saves" in decision
