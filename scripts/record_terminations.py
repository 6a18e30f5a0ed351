"""Records how pods end on a real kubelet: the watch stream, event by event, into tests/recorded/terminations.

`GRACEKEEPER_CLUSTER=NAME python -m scripts.record_terminations [SCENARIO ...]` uses the cluster of that name, or makes it, and
takes five minutes. A file of a kubelet's folder holds one scenario of scripts/terminations.py: a first line with versions and
the date, then one line for each event since the pod ran, as the API server sent it. The test of the classifier reads them.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from scripts.terminations import SCENARIO_LABEL, SCENARIOS, Scenario, job_of, pod_of
from tools import cluster_images
from tools.cluster import kind_cluster, lock
from tools.cluster.settings import ROOT, Settings
from tools.cluster.steps import run, say
from tools.kube import Json, Kube, eventually
from webhook.api import Api, ApiError

FOLDER = ROOT / "tests" / "recorded" / "terminations"
NAMESPACE = "terminations"
PODS_PATH = f"/api/v1/namespaces/{NAMESPACE}/pods"
RUN_SECONDS = 8
"""How long a pod runs before it is deleted; the peer that fails does so 12 s after its start."""
NODE_LOST_SECONDS = 240


@dataclass
class Recording:
    """The events of one watch, by scenario."""

    versions: Json
    events: dict[str, list[Json]] = field(default_factory=dict)

    def add(self, event: Json) -> None:
        """Keep one event of a pod that ran, with the moment at which it arrived."""
        scenario = event["object"]["metadata"].get("labels", {}).get(SCENARIO_LABEL)
        if scenario is not None and event["object"]["status"]["phase"] != "Pending":
            self.events.setdefault(scenario, []).append({"received": round(time.time(), 3), **event})

    def add_all(self, events: Iterable[Json]) -> None:
        """Keep events until the watch ends. One that ends too early leaves a scenario without its end, which is waited for."""
        with suppress(ApiError):
            for event in events:
                self.add(event)

    def is_over(self, scenario: Scenario) -> bool:
        """Return whether every pod of the scenario is deleted, or has ended and nobody deletes it."""
        last = {event["object"]["metadata"]["uid"]: event for event in self.events.get(scenario.name, ())}
        stays = scenario.delete is None and not scenario.loses_its_node
        return bool(last) and all(
            event["type"] == "DELETED" or (stays and event["object"]["status"]["phase"] == "Failed")
            for event in last.values()
        )

    def write(self, scenario: Scenario, folder: Path) -> None:
        """Write the scenario's file."""
        header = {"scenario": scenario.name, "meaning": scenario.meaning, **self.versions}
        lines = [header, *self.events[scenario.name]]
        text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        (folder / f"{scenario.name}.jsonl").write_text(text, encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Stage:
    """The cluster that the pods end on."""

    kube: Kube
    image: str
    worker: str
    recording: Recording

    def make(self, scenario: Scenario) -> None:
        """Create the scenario's pods."""
        make = job_of if scenario.in_a_job else pod_of
        self.kube("create", f"-n{NAMESPACE}", "-f", "-", text=json.dumps(make(scenario, self.image, self.worker)))

    def begin_to_end(self, scenario: Scenario) -> None:
        """Do to the scenario's pods what the scenario says."""
        if scenario.evict:
            eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": scenario.name}}
            self.kube.api.post(f"{PODS_PATH}/{scenario.name}/eviction", eviction, timeout_seconds=30)
        elif scenario.delete is not None:
            self._delete(scenario, scenario.delete)

    def end_again(self, scenario: Scenario) -> None:
        """Delete the scenario's pod once more, where it says so."""
        if scenario.delete_again is not None:
            self._delete(scenario, scenario.delete_again)

    def await_running(self, scenario: Scenario) -> None:
        """Return when the scenario's pods run. One that is evicted is not waited for."""
        expected = 2 if scenario.peer else 1
        eventually(lambda: self._running(scenario) >= expected, f"{scenario.name} runs", 120)

    def await_end(self, scenarios: Sequence[Scenario], seconds: float = 120) -> None:
        """Return when the last event of each scenario has come."""
        for scenario in scenarios:
            eventually(partial(self.recording.is_over, scenario), f"{scenario.name} ends", seconds)

    def on_the_node(self, *words: str) -> None:
        """Run a command on the worker."""
        run(["docker", "exec", self.worker, *words])

    def _delete(self, scenario: Scenario, options: Sequence[str]) -> None:
        selector = f"-l{SCENARIO_LABEL}={scenario.name}"
        self.kube("delete", "pods", f"-n{NAMESPACE}", selector, "--wait=false", *options)

    def _running(self, scenario: Scenario) -> int:
        pods = self.kube.get("pods", namespace=NAMESPACE, selector=f"{SCENARIO_LABEL}={scenario.name}")["items"]
        return sum(pod["status"]["phase"] != "Pending" for pod in pods)


def main(names: Sequence[str]) -> None:
    """Record the scenarios of these names, or all."""
    chosen = [scenario for scenario in SCENARIOS if not names or scenario.name in names]
    settings = Settings.from_environment(os.environ)
    with lock.held(settings.cache, settings.cluster):
        cluster = kind_cluster.up(settings)
        kube = Kube(cluster.kubectl, cluster.kubeconfig, Api.from_kubeconfig(str(cluster.kubeconfig)))
        recording = recorded(kube, cluster_images.trainer(cluster), cluster.worker, chosen)
    folder = FOLDER / str(recording.versions["kubelet"])
    folder.mkdir(parents=True, exist_ok=True)
    for scenario in chosen:
        recording.write(scenario, folder)
        say(f"{scenario.name}: {len(recording.events[scenario.name])} events")


def recorded(kube: Kube, image: str, worker: str, chosen: Sequence[Scenario]) -> Recording:
    """Return what a watch shows of these scenarios on a node of a cluster. The image has Python."""
    recording = Recording(_versions(kube, worker))
    kube("delete", "namespace", NAMESPACE, "--ignore-not-found")
    kube.make_namespace(NAMESPACE)
    try:
        with _watched(kube, recording):
            _play(Stage(kube, image, worker, recording), chosen)
    finally:
        kube.remove_namespaces(NAMESPACE)
    return recording


def _play(stage: Stage, chosen: Sequence[Scenario]) -> None:
    """Run what needs a healthy node first, then what needs its kubelet restarted, then what needs it gone."""
    restarts = [each for each in chosen if each.restarts_kubelet]
    lost = [each for each in chosen if each.loses_its_node]
    healthy = [each for each in chosen if each not in restarts and each not in lost]
    _end_all(stage, healthy)
    if restarts:
        _end_all(stage, restarts, while_they_end=lambda: stage.on_the_node("systemctl", "restart", "kubelet"))
    if lost:
        _lose_node(stage, lost)


def _end_all(stage: Stage, scenarios: Sequence[Scenario], while_they_end: Callable[[], None] | None = None) -> None:
    for scenario in scenarios:
        stage.make(scenario)
        if scenario.as_soon_as_it_runs:
            stage.await_running(scenario)
            stage.begin_to_end(scenario)
    for scenario in scenarios:
        if not scenario.as_soon_as_it_runs:
            stage.await_running(scenario)
    time.sleep(RUN_SECONDS)
    for scenario in scenarios:
        if not scenario.as_soon_as_it_runs:
            stage.begin_to_end(scenario)
    time.sleep(3)
    for scenario in scenarios:
        stage.end_again(scenario)
    if while_they_end is not None:
        while_they_end()
    stage.await_end(scenarios)


def _lose_node(stage: Stage, scenarios: Sequence[Scenario]) -> None:
    """Stop the kubelet until the taint manager has deleted the pods, then remove the node until they are collected."""
    for scenario in scenarios:
        stage.make(scenario)
        stage.await_running(scenario)
    time.sleep(RUN_SECONDS)
    stage.on_the_node("systemctl", "stop", "kubelet")
    try:
        for scenario in scenarios:
            eventually(partial(_is_deleted, stage, scenario.name), f"{scenario.name} is deleted", NODE_LOST_SECONDS)
        stage.kube("delete", "node", stage.worker)
        stage.await_end(scenarios, NODE_LOST_SECONDS)
    finally:
        stage.on_the_node("systemctl", "start", "kubelet")
    stage.kube("wait", "--for=create", f"node/{stage.worker}", "--timeout=120s")


def _is_deleted(stage: Stage, name: str) -> bool:
    return any(event["object"]["metadata"].get("deletionTimestamp") for event in stage.recording.events[name])


@contextmanager
def _watched(kube: Kube, recording: Recording) -> Iterator[None]:
    """Record every event of the namespace's pods while the block runs."""
    version = kube.api.get(PODS_PATH, timeout_seconds=30)["metadata"]["resourceVersion"]
    query = {"resourceVersion": version, "timeoutSeconds": "3600"}
    watch = kube.api.watch(PODS_PATH, query=query, read_timeout_seconds=3600)
    thread = threading.Thread(target=recording.add_all, args=(watch,))
    thread.start()
    try:
        yield
    finally:
        watch.stop()
        thread.join()


def _versions(kube: Kube, node: str) -> Json:
    information = kube.get("node", node)["status"]["nodeInfo"]
    return {
        "kubelet": information["kubeletVersion"],
        "container_runtime": information["containerRuntimeVersion"],
        "recorded": datetime.now(UTC).date().isoformat(),
    }


if __name__ == "__main__":
    main(sys.argv[1:])
