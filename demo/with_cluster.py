"""The second half: two trainers on a real cluster are deleted while they need 45 s to save; one was created without gracekeeper.

It ends with the doctor's report on that cluster, with one thing wrong.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from demo import volumes
from demo.volumes import File
from tools import cluster_images, training_pod
from tools.cluster import kind_cluster
from tools.cluster.kind_cluster import Cluster
from tools.cluster.settings import BIN, ROOT, Settings
from tools.cluster.steps import run, step
from tools.kube import Json, Kube, eventually
from tools.release import Release
from webhook.api import Api
from webhook.policy.prefix import DECISION_ANNOTATION, ENABLED_LABEL, PREFIX

NAMESPACE = "demo"
NEEDED = {PREFIX + "checkpoint-size": "100MiB"}
LEFT_ALONE = {ENABLED_LABEL: "false"}
_START_SECONDS = 120
_LONGEST_STOP_SECONDS = 180
_LOOK_SECONDS = 1.0
_PLAIN_LINE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Trainer:
    """One of the two pods: its name, what is special about it, and the grace that it was created with."""

    name: str
    reason: str
    grace_seconds: int


@dataclass(frozen=True, slots=True)
class Seen:
    """How a trainer stands now."""

    trainer: Trainer
    running: bool
    files: tuple[File, ...]

    @property
    def state(self) -> str:
        """What it is doing."""
        return "saving" if self.running else "gone"

    @property
    def on_the_volume(self) -> str:
        """Its files and their sizes."""
        return ", ".join(f"{file.name} {file.size_bytes / 1e6:.2f} MB" for file in self.files) or "nothing"


def show(console: Console) -> None:
    """Bring up the cluster, install the chart, and let two trainers save."""
    console.rule(Text("2. The same on a real cluster", style="bold"), align="left")
    console.print("Now: a kind cluster of two nodes, the image of this checkout, the chart, and two training pods.")
    console.print("On a cluster that is there already this takes 3 minutes. A new one takes 1 more; the very first")
    console.print(
        "time, where no container registry answers, its images are built: 10 to 20 minutes. Ctrl-C stops it.\n"
    )
    settings = Settings.from_environment(os.environ)
    with kind_cluster.running(settings) as cluster, closing(Api.from_kubeconfig(str(cluster.kubeconfig))) as api:
        kube = Kube(cluster.kubectl, cluster.kubeconfig, api)
        _install(kube, cluster)
        _two_trainers(console, kube, cluster)
        _report(console, kube, cluster)
        _next_steps(console, kube, settings)


def _install(kube: Kube, cluster: Cluster) -> None:
    with step("Building gracekeeper's images, for every node", "30 s, a minute the first time"):
        both = cluster_images.gracekeeper(cluster), cluster_images.supervise(cluster)
    with step("helm upgrade --install gracekeeper charts/gracekeeper", "20 s"):
        Release(kube, cluster.tool("helm4"), "gracekeeper", "gracekeeper", *both).upgrade()


def _two_trainers(console: Console, kube: Kube, cluster: Cluster) -> None:
    image = cluster_images.trainer(cluster)
    node = cluster.worker
    with step("Making way for two new trainers", "2 s"):
        _remove_former(kube, node)
    with step("Starting the trainers", "10 s"):
        trainers = [
            _start(kube, node, image, "without", f"label {ENABLED_LABEL}=false", labels=LEFT_ALONE, annotations=NEEDED),
            _start(kube, node, image, "with", "gracekeeper has decided", annotations=NEEDED),
        ]
    for trainer in trainers:
        console.print(f"  pod {trainer.name}: created with a grace of {trainer.grace_seconds} s ({trainer.reason})")
    _print_decision(console, kube.get("pod", "with", NAMESPACE))
    console.print("\n  $ kubectl delete pod without with      # both need 45 s to save when they are told to stop")
    kube("delete", "pod", "without", "with", f"-n{NAMESPACE}", "--wait=false")
    _print_result(console, _watch_until_gone(console, kube, node, trainers))


def _remove_former(kube: Kube, node: str) -> None:
    """What an earlier run of the demo left."""
    if kube.exists("namespace", NAMESPACE):
        kube("delete", "jobs", "--all", f"-n{NAMESPACE}", "--cascade=orphan")
        kube("delete", "pods", "--all", f"-n{NAMESPACE}", "--grace-period=0", "--force")
        kube("delete", "namespace", NAMESPACE)
    for name in ("without", "with"):
        kube("delete", "pv", f"{NAMESPACE}-{name}", "--ignore-not-found")
        volumes.empty(node, _folder(name))
    kube.make_namespace(NAMESPACE)


def _start(kube: Kube, node: str, image: str, name: str, reason: str, **metadata: dict[str, str]) -> Trainer:
    speed = {PREFIX + "write-throughput": "5MiB/s"}
    volume = f"{NAMESPACE}-{name}"
    kube.apply(
        training_pod.a_host_path_volume(volume, _folder(name), speed),
        training_pod.a_claim(name, NAMESPACE, "by-hand", volume),
    )
    eventually(lambda: kube.get("pvc", name, NAMESPACE)["status"].get("phase") == "Bound", f"claim {name} is bound")
    created = kube.create_pod(NAMESPACE, training_pod.a_trainer(name, image, name, node, **metadata))
    eventually(lambda: "training" in kube("logs", name, f"-n{NAMESPACE}"), f"pod {name} trains", _START_SECONDS)
    return Trainer(name, reason, created["spec"]["terminationGracePeriodSeconds"])


def _folder(name: str) -> str:
    return f"/var/local/gracekeeper-demo/{name}"


def _print_decision(console: Console, pod: Json) -> None:
    """The annotation that gracekeeper wrote on the pod."""
    console.print(f"  its annotation {DECISION_ANNOTATION}:")
    console.print_json(pod["metadata"]["annotations"][DECISION_ANNOTATION], indent=2)


def _watch_until_gone(console: Console, kube: Kube, node: str, trainers: list[Trainer]) -> list[Seen]:
    """Look every second; the result is what was left in the end."""
    began = time.monotonic()
    with _progress(console) as progress:
        while True:
            seen = [
                Seen(t, kube.exists("pod", t.name, NAMESPACE), volumes.files(node, _folder(t.name))) for t in trainers
            ]
            elapsed_seconds = time.monotonic() - began
            progress.tell(elapsed_seconds, seen)
            if not any(one.running for one in seen):
                return seen
            if elapsed_seconds > _LONGEST_STOP_SECONDS:
                raise AssertionError(f"the pods did not end within {_LONGEST_STOP_SECONDS} s")
            time.sleep(_LOOK_SECONDS)


class _Progress:
    """On a terminal a table that changes, elsewhere a line now and then and whenever a pod has gone."""

    def __init__(self, console: Console, live: Live | None) -> None:
        self._console = console
        self._live = live
        self._printed_at_seconds = -_PLAIN_LINE_SECONDS
        self._running: list[bool] = []

    def tell(self, elapsed_seconds: float, seen: list[Seen]) -> None:
        """Show how the trainers stand."""
        if self._live is not None:
            self._live.update(_table(elapsed_seconds, seen), refresh=True)
            return
        running = [one.running for one in seen]
        if running == self._running and elapsed_seconds - self._printed_at_seconds < _PLAIN_LINE_SECONDS:
            return
        self._printed_at_seconds, self._running = elapsed_seconds, running
        for one in seen:
            self._console.print(f"  {elapsed_seconds:3.0f} s  {one.trainer.name}: {one.state}, {one.on_the_volume}")


@contextmanager
def _progress(console: Console) -> Iterator[_Progress]:
    if not console.is_terminal:
        yield _Progress(console, None)
        return
    with Live(console=console, auto_refresh=False) as live:
        yield _Progress(console, live)


def _table(elapsed_seconds: float, seen: list[Seen]) -> Table:
    table = Table("pod", "grace", "state", "on its volume", title=f"{elapsed_seconds:.0f} s after SIGTERM", box=None)
    for one in seen:
        style = "yellow" if one.running else "bold"
        table.add_row(one.trainer.name, f"{one.trainer.grace_seconds} s", Text(one.state, style), one.on_the_volume)
    return table


def _print_result(console: Console, seen: list[Seen]) -> None:
    console.print()
    for one in seen:
        whole = [file.name for file in one.files] == ["checkpoint"]
        verdict = Text("whole", "bold green") if whole else Text("cut off: no checkpoint", "bold red")
        console.print(Text(f"  {one.trainer.name}: ").append(verdict).append(f" ({one.on_the_volume})"))


def _report(console: Console, kube: Kube, cluster: Cluster) -> None:
    """Start a Job as most are written, and let the doctor say what is wrong with it."""
    console.print()
    console.rule(Text("3. What else cuts a save in this cluster", style="bold"), align="left")
    image = cluster_images.trainer(cluster)
    job = training_pod.a_job(
        NAMESPACE, training_pod.a_trainer("retried", image, "with", cluster.worker, annotations=NEEDED)
    )
    with step("Starting a Job that saves to the same volume", "5 s"):
        kube.apply(job)
        eventually(lambda: kube.get("job", "retried", NAMESPACE)["status"].get("ready") == 1, "the Job's pod runs")
    words = ["doctor", f"--namespace={NAMESPACE}", "--only=GK1,GK3", "--fail-on=never"]
    console.print(f"  $ gracekeeper {' '.join(words)}\n")
    report = run(
        [sys.executable, "-m", "webhook", *words], environment={**os.environ, "KUBECONFIG": str(kube.kubeconfig)}
    )
    console.print(report, markup=False, end="")


def _next_steps(console: Console, kube: Kube, settings: Settings) -> None:
    kubeconfig = _near(kube.kubeconfig)
    console.print()
    console.rule(Text("Try next", style="bold"), align="left")
    console.print("The cluster stays, with gracekeeper on it:\n")
    console.print(f"  export KUBECONFIG={kubeconfig}")
    console.print(f"  alias kubectl={_near(BIN / 'kubectl')}")
    console.print(f"  kubectl run check -n {NAMESPACE} --image=none --restart=Never --dry-run=server -o yaml \\")
    console.print(f"    --annotations={PREFIX}checkpoint-size=10GiB")
    console.print("  kubectl -n gracekeeper logs -l app.kubernetes.io/component=webhook --tail=5")
    console.print(f"  kubectl label namespace {NAMESPACE} {ENABLED_LABEL}=false    # and the first again: left alone")
    named = (
        "" if settings.cluster == Settings.from_environment({}).cluster else f"GRACEKEEPER_CLUSTER={settings.cluster} "
    )
    console.print(f"\nWhat a pod's owner can say: README.md. {named}make clean removes the cluster.")


def _near(path: Path) -> Path:
    """As a shell in the checkout can say it."""
    return Path("$PWD") / path.relative_to(ROOT)
