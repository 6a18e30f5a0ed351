"""Runs of OSMO's pods: created, followed, driven to their end, and what can be told of them afterwards."""

import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any

from e2e.osmo import listener, nodes, pods
from e2e.osmo.pods import CTRL, Images, Variation
from tools.cluster.steps import attempt
from tools.kube import CALL_SECONDS, Json, Kube, eventually
from webhook.api import ApiError
from webhook.policy.prefix import DECISION_ANNOTATION, PREFIX

FINALIZER = "osmo.nvidia.com/cleanup"
GATE = "gracekeeper-gate"
BEFORE, NATIVE, CONTAINER = "before", "native", "container"
LOOK_SECONDS = 0.5
PACE_SECONDS = 2
LOGS_END_SECONDS = 3
WATCH_SECONDS = 300
MEETING_SECONDS = 120
STORY_LOG_LINES = 60


@dataclass(frozen=True, slots=True)
class Version:
    """The pod as it was at a time, in seconds of the epoch; None when it was gone."""

    seconds: float
    pod: Mapping[str, Any]
    gone: bool = False


@dataclass(slots=True, repr=False)
class Run:
    """One pod's life, and what was left of it."""

    name: str
    mode: str
    namespace: str
    versions: list[Version] = field(default_factory=list)
    moments: dict[str, float] = field(default_factory=dict)
    """When the test did something, in seconds of the epoch."""
    events: list[nodes.Event] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    events_of_next: list[nodes.Event] = field(default_factory=list)
    """Of the pod that OSMO made in this one's place."""
    logs: str = ""
    failure: BaseException | None = None

    def __repr__(self) -> str:
        """Short: a failed test prints its arguments."""
        return f"<{self.name}>"

    @property
    def evidence(self) -> str:
        """The run's folder on its node."""
        return f"{pods.EVIDENCE_ON_NODE}/{self.namespace}/{self.name}"

    @property
    def pod(self) -> Mapping[str, Any]:
        """As it was seen last."""
        return self.versions[-1].pod

    @property
    def phase(self) -> str:
        """Of the pod as it was seen last."""
        phase: str = self.pod["status"].get("phase", "")
        return phase

    @property
    def over(self) -> float | None:
        """When the pod's end was seen: a final phase with every container ended, or the pod gone."""
        return next((version.seconds for version in self.versions if version.gone or _is_over(version.pod)), None)

    def seconds_after(self, moment: str) -> float:
        """From something that the test did to the end of the last container, by its own time: the kubelet may tell late."""
        assert self.over is not None, self.story()
        return max(0.0, self.finished - self.moments[moment])

    @property
    def finished(self) -> float:
        """When the last container ended, in whole seconds of the epoch; the pod's end where none ever ran."""
        ended = [
            status.get("state", {}).get("terminated", {}).get("finishedAt") for status in _statuses(self.pod).values()
        ]
        times = [datetime.fromisoformat(text).timestamp() for text in ended if text]
        return max(times) if times else self.over or 0.0

    def at(self, event: str, *, last: bool = False) -> float:
        """When something happened, the first time or the last."""
        seconds = [happened.seconds for happened in self.events if happened.event == event]
        assert seconds, f"{event} never happened\n{self.story()}"
        return seconds[-1 if last else 0]

    def happened(self, event: str) -> bool:
        """Whether something happened at all."""
        return any(each.event == event for each in self.events)

    @property
    def reported(self) -> listener.Report | None:
        """What OSMO's service keeps."""
        return listener.first_final(version.pod for version in self.versions)

    @property
    def last_report(self) -> listener.Report:
        """What OSMO's listener makes of the pod as it was seen last."""
        return listener.report(self.pod)

    def ended(self, container: str) -> Mapping[str, Any]:
        """The terminated state of a container, wherever it is listed."""
        state = self.state(container).get("terminated")
        assert state, f"{container} has not ended\n{self.story()}"
        return dict(state)

    def state(self, container: str) -> Mapping[str, Any]:
        """The state of a container, wherever it is listed."""
        return dict(_statuses(self.pod).get(container, {}).get("state", {}))

    @property
    def user(self) -> str:
        """The name of the user's container."""
        name: str = self.pod["spec"]["containers"][0]["name"]
        return name

    @property
    def uploaded(self) -> dict[str, set[str]]:
        """What whole uploads carried, by address."""
        return nodes.whole_uploads(self.files)

    @property
    def cut(self) -> dict[str, set[str]]:
        """What cut uploads carried, by address."""
        return nodes.cut_uploads(self.files)

    def figures(self) -> dict[str, object]:
        """The run in a few numbers; the kubelet's delay is not in the seconds."""
        moment = next((name for name in ("crash", "kill", "hog", "deleted") if name in self.moments), "created")
        figures = {
            "mode": self.mode,
            "grace_seconds": self.pod["spec"]["terminationGracePeriodSeconds"],
            "moment": moment,
            "seconds": round(self.seconds_after(moment), 1) if self.over else None,
            "phase": self.phase,
            "osmo": self.reported and f"{self.reported.status} {self.reported.exit_code}",
            "saved": self.happened("save ends"),
            "whole_uploads": len(self.uploaded),
            "cut_uploads": len(self.cut),
        }
        return figures | ({"overlap_seconds": self.overlap_seconds} if self.events_of_next else {})

    @property
    def overlap_seconds(self) -> float:
        """How long the pod that OSMO made in this one's place had trained when this one's upload ended."""
        began = next(event.seconds for event in self.events_of_next if event.event == "training")
        return round(self.at("upload ends") - began, 1)

    def story(self) -> str:
        """What the person who looks at a failure asks for first."""
        lines = [f"=== {self.name} ({self.mode}) {self.failure or ''}"]
        annotations = self.versions[0].pod["metadata"].get("annotations", {}) if self.versions else {}
        lines.append(f"decision {annotations.get(DECISION_ANNOTATION)}")
        lines += [f"{seconds:.1f} test: {moment}" for moment, seconds in self.moments.items()]
        lines += _version_lines(self.versions)
        lines += [str(event) for event in self.events if event.event not in {"ops", "out"}]
        lines += [f"left {path}" for path in self.files if path.startswith("uploads/")]
        return "\n".join([*lines, self.logs])


class Stage:
    """One namespace in which runs take place, watched by one thread."""

    def __init__(self, kube: Kube, namespace: str, images: Images, node_names: Sequence[str]) -> None:
        self.kube, self.namespace, self.images = kube, namespace, images
        self.nodes = {name: nodes.Node(name) for name in node_names}
        self._runs: dict[str, Run] = {}
        self._changed = threading.Condition()
        self._ends = threading.Event()
        self._turn = threading.Lock()
        self._examples = pods.examples()

    @contextmanager
    def open(self, labels: Mapping[str, str] | None = None) -> Iterator["Stage"]:
        """The namespace with its Secrets, and the watch."""
        for node in self.nodes.values():
            node.forget(self.namespace)
        eventually(lambda: not self.kube.exists("namespace", self.namespace), "an earlier run's namespace is gone", 120)
        self.kube.make_namespace(self.namespace, labels)
        secrets: dict[str, Json] = {}
        for example in self._examples.values():
            for secret in pods.secrets({**example, "metadata": {"namespace": self.namespace}}):
                secrets.setdefault(secret["metadata"]["name"], secret)["stringData"] |= secret["stringData"]
        self.kube.apply(*secrets.values())
        watch = threading.Thread(target=self._watch, daemon=True)
        watch.start()
        try:
            yield self
        finally:
            self._ends.set()
            self.remove()

    def remove(self) -> None:
        """What is left in the namespace goes, finalizers and all."""
        for pod in self.kube.get("pods", namespace=self.namespace)["items"]:
            self.release(pod["metadata"]["name"])
        self.kube.remove_namespaces(self.namespace)
        for node in self.nodes.values():
            node.close()

    def release(self, name: str) -> None:
        """The pod goes at once."""
        where = [f"-n{self.namespace}", name]
        attempt(self.kube.command("delete", "pod", *where, "--grace-period=0", "--force", "--wait=false"))
        attempt(self.kube.command("patch", "pod", *where, "--type=merge", '-p={"metadata":{"finalizers":null}}'))

    def manifest(self, name: str, mode: str, task: str, change: Variation) -> Json:
        """The pod that a run begins with."""
        pod = pods.exchanged(self._examples[task], name, self.namespace, self.images, change)
        if mode == BEFORE:
            pod["metadata"]["labels"][f"{PREFIX}enabled"] = "false"
        else:
            pod["spec"]["containers"][0]["env"].append({"name": "GRACEKEEPER_OSMO_MODE", "value": mode})
        return pod

    def follow(self, run: Run) -> None:
        """Versions of pods that carry the run's label are the run's."""
        with self._changed:
            self._runs[run.name] = run

    def take_turn(self) -> None:
        """Pods are created one after the other: starting one costs a small machine more than running it."""
        with self._turn:
            time.sleep(PACE_SECONDS)

    def wait(self, is_true: Callable[[], Any], description: str, seconds: float) -> None:
        """Until something is true of what the watch has brought; an assertion where it is not in time."""
        with self._changed:
            if not self._changed.wait_for(is_true, seconds):
                raise AssertionError(f"not within {seconds:g} s: {description}")

    def node_of(self, run: Run) -> nodes.Node:
        """Where the run's pod is."""
        return self.nodes[run.pod["spec"]["nodeName"]]

    def _watch(self) -> None:
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        version = ""
        while not self._ends.is_set():
            try:
                if not version:
                    listed = self.kube.api.get(path, timeout_seconds=CALL_SECONDS)
                    version = listed["metadata"]["resourceVersion"]
                    for pod in listed["items"]:
                        self._take(pod, gone=False)
                query = {"resourceVersion": version, "timeoutSeconds": str(WATCH_SECONDS)}
                for event in self.kube.api.watch(path, query=query, read_timeout_seconds=WATCH_SECONDS + 10):
                    if event["type"] == "ERROR":
                        version = ""
                        break
                    version = event["object"]["metadata"]["resourceVersion"]
                    self._take(event["object"], gone=event["type"] == "DELETED")
            except ApiError:
                version = ""
                time.sleep(LOOK_SECONDS)

    def _take(self, pod: Mapping[str, Any], *, gone: bool) -> None:
        with self._changed:
            run = self._runs.get(pod["metadata"].get("labels", {}).get(pods.RUN_LABEL, ""))
            if run is not None:
                run.versions.append(Version(time.time(), pod, gone))
                self._changed.notify_all()


class Together:
    """Several runs to whose pods one thing is done at once."""

    def __init__(self, parties: int) -> None:
        self._barrier = threading.Barrier(parties, timeout=MEETING_SECONDS)

    def meet(self, act: Callable[[], object] = lambda: None) -> None:
        """Wait for the others; one of them acts, then all go on."""
        if self._barrier.wait() == 0:
            try:
                act()
            except BaseException:
                self._barrier.abort()
                raise
        self._barrier.wait()

    def leave(self) -> None:
        """A run that failed: the others need not wait for it."""
        self._barrier.abort()


class Live:
    """A run while it is driven."""

    def __init__(self, stage: Stage, run: Run, manifest: Json, together: "Together") -> None:
        self.stage, self.run, self.manifest, self.together = stage, run, manifest, together
        self._logs: tuple[subprocess.Popen[bytes], IO[bytes]] | None = None

    def create(self) -> None:
        """The pod, by a raw call; the moment is `created`."""
        self.stage.take_turn()
        self.mark("created")
        if self.manifest["kind"] == "Pod":
            self.stage.kube.create_pod(self.stage.namespace, self.manifest)
        else:
            self.stage.kube.apply(self.manifest)
        self.stage.wait(lambda: self.run.versions, "the pod is seen", 20)

    def until(self, event: str, *, seconds: float = 120, folder: str = "", even_after_its_end: bool = False) -> None:
        """Until a stand-in or the trainer has told of an event, in the run's folder or another one on its node."""
        run = self.run
        self.stage.wait(lambda: run.pod["spec"].get("nodeName"), "the pod has a node", seconds)
        node, end = self.stage.node_of(run), time.monotonic() + seconds
        while not any(each.event == event for each in node.events(folder or run.evidence)):
            if time.monotonic() > end or (run.over is not None and not even_after_its_end):
                raise AssertionError(f"not within {seconds:g} s, or before the pod's end: {event}")
            time.sleep(LOOK_SECONDS)
        self._follow_logs()

    def until_state(self, container: str, is_true: Callable[[Mapping[str, Any]], Any], description: str) -> None:
        """Until a container's state is so."""
        self.stage.wait(lambda: is_true(self.run.state(container)), description, 90)

    def until_over(self, seconds: float) -> None:
        """Until the pod has ended."""
        self.stage.wait(lambda: self.run.over is not None, "the pod's end", seconds)

    def delete(self, *options: str) -> None:
        """`kubectl delete pod`; the moment is `deleted`."""
        self.mark("deleted")
        self.stage.kube("delete", "pod", self.pod_name, f"-n{self.stage.namespace}", "--wait=false", *options)

    def delete_as_osmo_does(self) -> None:
        """First the finalizer goes, then the pod."""
        self.mark("deleted")
        self.drop_finalizer()
        self.stage.kube("delete", "pod", self.pod_name, f"-n{self.stage.namespace}", "--wait=false")

    def drop_finalizer(self) -> None:
        """By the strategic merge patch that OSMO sends."""
        patch = f'-p={{"metadata":{{"$deleteFromPrimitiveList/finalizers":["{FINALIZER}"]}}}}'
        self.stage.kube("patch", "pod", self.pod_name, f"-n{self.stage.namespace}", "--type=strategic", patch)

    def evict(self) -> None:
        """By the eviction API."""
        self.mark("deleted")
        metadata = {"name": self.pod_name, "namespace": self.stage.namespace}
        path = f"/api/v1/namespaces/{self.stage.namespace}/pods/{self.pod_name}/eviction"
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
        self.stage.kube.api.post(path, body, timeout_seconds=CALL_SECONDS)

    def order(self, order: str) -> None:
        """Something that osmo_ctrl shall do now."""
        self.mark(order)
        self.stage.node_of(self.run).order(self.run.evidence, order)

    def kill_ctrl(self) -> None:
        """SIGKILL for PID 1 of osmo-ctrl, from the node."""
        self.until_state(CTRL, lambda state: "running" in state, "osmo-ctrl runs")
        status = _statuses(self.run.pod)[CTRL]
        self.mark("kill")
        self.stage.node_of(self.run).kill_first_process(status["containerID"])

    def mark(self, moment: str) -> None:
        """Remember when the test did something."""
        self.run.moments[moment] = time.time()

    @property
    def pod_name(self) -> str:
        """Of the pod, which a controller may have named."""
        name: str = self.run.pod["metadata"]["name"]
        return name

    def end(self) -> None:
        """Nothing of the run is left in the cluster."""
        if self.manifest["kind"] == "Job":
            name = self.manifest["metadata"]["name"]
            attempt(self.stage.kube.command("delete", "job", name, f"-n{self.stage.namespace}", "--wait=false"))
        if self.run.versions:
            self.stage.release(self.pod_name)

    def gather(self) -> None:
        """What outlives the pod, and its logs."""
        run = self.run
        if not run.versions:
            return
        self._follow_logs()
        run.logs = self._followed_logs()
        if run.pod["spec"].get("nodeName"):
            node = self.stage.node_of(run)
            run.events, run.files = node.events(run.evidence), node.files(run.evidence)

    def _follow_logs(self) -> None:
        """From now on: the kubelet removes a deleted pod's logs as soon as it has ended."""
        if self._logs is None:
            words = ["logs", self.pod_name, f"-n{self.run.namespace}", "--all-containers", "--prefix", "--timestamps"]
            words += ["--follow", "--ignore-errors", f"--tail={STORY_LOG_LINES}"]
            file = tempfile.TemporaryFile()  # noqa: SIM115  # closed when it has been read
            command = [str(word) for word in self.stage.kube.command(*words)]
            self._logs = subprocess.Popen(command, stdout=file, stderr=subprocess.DEVNULL), file

    def _followed_logs(self) -> str:
        if self._logs is None:
            return ""
        process, file = self._logs
        try:
            process.wait(LOGS_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()
        with file:
            file.seek(0)
            return file.read().decode(errors="replace")


def converted(pod: Mapping[str, Any]) -> str:
    """The mode in which gracekeeper converted a pod, `before` where it did not."""
    ctrl = next(container for container in pods.containers(pod) if container["name"] == CTRL)
    if "supervise" not in ctrl["command"][0]:
        return BEFORE
    return NATIVE if ctrl in pod["spec"]["initContainers"] else CONTAINER


def _statuses(pod: Mapping[str, Any]) -> dict[str, Any]:
    status = pod.get("status", {})
    listed = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    return {status["name"]: status for status in listed}


def _is_over(pod: Mapping[str, Any]) -> bool:
    if pod["status"].get("phase") not in {"Succeeded", "Failed"}:
        return False
    states = [status.get("state", {}) for status in _statuses(pod).values()]
    return not any("running" in state for state in states)


def _version_lines(versions: Sequence[Version]) -> Iterator[str]:
    before = ""
    for version in versions:
        states = {name: _state_text(status) for name, status in _statuses(version.pod).items()}
        metadata, status = version.pod["metadata"], version.pod["status"]
        doing = " deleting" if metadata.get("deletionTimestamp") else ""
        conditions = [
            condition["type"] for condition in status.get("conditions", ()) if condition["type"] == "DisruptionTarget"
        ]
        line = f"{status.get('phase')}{doing} {' '.join(conditions)} {states} {status.get('reason', '')}"
        if line != before or version.gone:
            yield f"{version.seconds:.1f} pod: {line}{' GONE' if version.gone else ''}"
        before = line


def _state_text(status: Mapping[str, Any]) -> str:
    states = []
    for kind, state in status.get("state", {}).items():
        parts = [kind, *(str(state[key]) for key in ("reason", "exitCode", "message", "finishedAt") if state.get(key))]
        states.append(" ".join(parts)[:160])
    restarts = status.get("restartCount")
    return " ".join(states) + (f" restarts={restarts}" if restarts else "")
