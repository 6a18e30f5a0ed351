"""Jobs that start real torch 2.6 with torchrun behind a pipe, save for 45 s with DCP, and are deleted, evicted or drained.

Their ranks agree on the signal and save together (tests/launchers/trainers/collective.py). Nobody tells them unless the pod is
wrapped: bash is PID 1. The pods without gracekeeper have enough grace for the save, and lose it all the same.
"""

import json
from dataclasses import dataclass

import pytest

from e2e import pods
from tools import training_pod
from tools.cluster.settings import ROOT
from tools.cluster.steps import run
from tools.kube import Json, Kube, eventually

TRAINERS = ROOT / "tests" / "launchers" / "trainers"
SAVE_SECONDS = 45
GRACE_SECONDS_WITHOUT = 60
COMMAND = [
    "bash",
    "-c",
    f"torchrun --nproc_per_node 2 /trainers/collective.py --save {SAVE_SECONDS} 2>&1 | tee /tmp/log",
]
ENVIRONMENT = {
    "PYTHONPATH": "/trainers",
    "OMP_NUM_THREADS": "1",
    "GLOO_SOCKET_IFNAME": "lo",
    "USE_LIBUV": "0",  # Debian builds torch without libuv
}
SPEED = {"gracekeeper.dev/write-throughput": "5MiB/s"}
KEY = {"gracekeeper.dev/checkpoint-size": "100MiB"}
LEFT_ALONE = {"gracekeeper.dev/enabled": "false"}
NAMESPACE = "launchers"
ENDS = ("deleted", "evicted", "drained")
TRAINS_SECONDS = 300
"""Twelve ranks import torch at once."""
OVER_SECONDS = 240
READ = """
import sys, torch, torch.distributed.checkpoint as dcp
model = torch.nn.Linear(64, 64)
before = model.weight.clone()
state = model.state_dict()
dcp.load(state, checkpoint_id=sys.argv[1])
print("whole", not torch.equal(before, state["weight"]))
"""

pytestmark = [pytest.mark.release, pytest.mark.usefixtures("release")]


@dataclass(frozen=True)
class Jobs:
    """The Jobs of this file, each with a volume of its own on the worker."""

    kube: Kube
    worker: str
    image: str

    def start(self, name: str, *, wrapped: bool) -> None:
        """Make the volume, its claim and the Job."""
        volume = f"{NAMESPACE}-{name}"
        run(["docker", "exec", self.worker, "rm", "-rf", self.folder(name)])
        self.kube.apply(
            training_pod.a_host_path_volume(volume, self.folder(name), SPEED),
            training_pod.a_claim(name, NAMESPACE, "by-hand", volume),
        )
        self.kube.apply(a_job(name, self.image, self.worker, wrapped=wrapped))

    def pod(self, name: str) -> Json:
        """The one pod of a Job."""
        [pod] = self.kube.get("pods", namespace=NAMESPACE, selector=f"batch.kubernetes.io/job-name={name}")["items"]
        return dict(pod)

    def folder(self, name: str) -> str:
        return f"/var/local/e2e/{NAMESPACE}/{name}"

    def events(self, name: str, rank: int) -> list[str]:
        """What a rank wrote of itself."""
        log = run(["docker", "exec", self.worker, "cat", f"{self.folder(name)}/rank-{rank}.log"])
        return [line.split(" ", 1)[1] for line in log.splitlines()]

    def trains(self, name: str) -> bool:
        return all("trains" in self.events(name, rank) for rank in (0, 1))

    def is_over(self, name: str) -> bool:
        """Whether the Job has counted its only pod."""
        conditions = self.kube.get("job", name, NAMESPACE)["status"].get("conditions", [])
        return any(each["type"] in {"Complete", "Failed"} and each["status"] == "True" for each in conditions)

    def failed(self, name: str) -> bool:
        conditions = self.kube.get("job", name, NAMESPACE)["status"]["conditions"]
        return any(each["type"] == "Failed" for each in conditions)

    def checkpoint(self, name: str) -> str:
        """What torch says of the checkpoint, read in a pod of its own."""
        reader = f"read-{name}"
        self.kube.apply(a_reader(reader, self.image, self.worker, self.folder(name)))
        eventually(lambda: phase(self.kube, reader) in {"Succeeded", "Failed"}, f"{reader} ends", OVER_SECONDS)
        return self.kube("logs", reader, f"-n{NAMESPACE}")


@pytest.fixture(scope="module")
def jobs(kube, worker, launchers_image, release):
    """All Jobs, after each was told to end in its way, and has ended. They start and wait side by side."""
    made = Jobs(kube, worker, launchers_image)
    eventually(lambda: not kube.exists("namespace", NAMESPACE), "an earlier namespace is gone", OVER_SECONDS)
    kube.make_namespace(NAMESPACE)
    files = {path.name: path.read_text() for path in (TRAINERS / "collective.py", TRAINERS / "rank.py")}
    metadata = {"name": "trainers", "namespace": NAMESPACE}
    kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": files})
    release.upgrade("--set=supervise.prePull.enabled=true")
    names = [f"{end}-{how}" for end in ENDS for how in ("with", "without")]
    try:
        kube("rollout", "status", f"-n{release.namespace}", f"daemonset/{release.name}-prepull", "--timeout=60s")
        eventually(lambda: is_wrapped_in_a_dry_run(kube, launchers_image, worker), "a pod that is wrapped")
        for name in names:
            made.start(name, wrapped=name.endswith("-with"))
        eventually(lambda: all(map(made.trains, names)), "all ranks train", TRAINS_SECONDS)
        started = {name: made.pod(name) for name in names}
        end_all(made)
        eventually(lambda: all(map(made.is_over, names)), "all Jobs are over", OVER_SECONDS)
        yield made, started
    finally:
        kube("uncordon", worker)
        release.upgrade()
        kube.remove_namespaces(NAMESPACE)
        kube("delete", "pv", *(f"{NAMESPACE}-{name}" for name in names), "--wait=false", "--ignore-not-found")


def end_all(jobs: Jobs) -> None:
    """Delete two, evict two, and drain the node with the last two."""
    for how in ("with", "without"):
        deleted, evicted = (jobs.pod(f"{end}-{how}")["metadata"]["name"] for end in ("deleted", "evicted"))
        jobs.kube("delete", "pod", deleted, f"-n{NAMESPACE}", "--wait=false")
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": evicted}}
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{evicted}/eviction"
        jobs.kube("create", "--raw", path, "-f", "-", text=json.dumps(eviction))
    jobs.kube("drain", jobs.worker, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=240s")
    jobs.kube("uncordon", jobs.worker)


def a_job(name: str, image: str, node: str, *, wrapped: bool) -> Json:
    """A Job of one pod that no other pod replaces, with one key of gracekeeper, or left alone by it."""
    container = {
        "name": "trainer",
        "image": image,
        "imagePullPolicy": "Never",
        "command": COMMAND,
        "workingDir": "/row",
        "env": [{"name": name, "value": value} for name, value in ENVIRONMENT.items()],
        "volumeMounts": [{"name": "row", "mountPath": "/row"}, {"name": "trainers", "mountPath": "/trainers"}],
    }
    spec: Json = {
        "nodeSelector": {"kubernetes.io/hostname": node},
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [
            {"name": "row", "persistentVolumeClaim": {"claimName": name}},
            {"name": "trainers", "configMap": {"name": "trainers"}},
        ],
    }
    metadata: Json = {"annotations": KEY}
    if not wrapped:
        metadata["labels"] = LEFT_ALONE
        spec["terminationGracePeriodSeconds"] = GRACE_SECONDS_WITHOUT
    template = {"metadata": metadata, "spec": spec}
    job = {"backoffLimit": 0, "podReplacementPolicy": "Failed", "template": template}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": job,
    }


def a_reader(name: str, image: str, node: str, folder: str) -> Json:
    """A pod that reads a checkpoint with DCP."""
    container = {
        "name": "reader",
        "image": image,
        "imagePullPolicy": "Never",
        "command": ["python3", "-c", READ, "/row/checkpoint"],
        "volumeMounts": [{"name": "row", "mountPath": "/row"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": LEFT_ALONE},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": node},
            "restartPolicy": "Never",
            "containers": [container],
            "volumes": [{"name": "row", "hostPath": {"path": folder}}],
        },
    }


def is_wrapped_in_a_dry_run(kube, image: str, node: str) -> bool:
    template = a_job("dry", image, node, wrapped=True)["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", **template, "metadata": {**template["metadata"], "name": "dry"}}
    created = json.loads(
        kube("create", "-f", "-", f"-n{NAMESPACE}", "--dry-run=server", "-ojson", text=json.dumps(pod))
    )
    return "forward" in created["spec"]["containers"][0]["command"]


def phase(kube, name: str) -> str:
    return str(kube("get", "pod", name, f"-n{NAMESPACE}", "-ojsonpath={.status.phase}"))


@pytest.mark.parametrize("end", ENDS)
def test_given_torchrun_behind_a_pipe_and_one_key_when_its_pod_is_ended_then_the_checkpoint_is_whole(jobs, end):
    made, started = jobs
    name = f"{end}-with"
    pod = started[name]
    assert pods.is_patched(pod)
    assert pod["spec"]["containers"][0]["command"][1] == "forward"
    for rank in (0, 1):
        events = made.events(name, rank)
        assert events.count("told-15") == 1
        assert events[-2:] == ["saved", "ends-0"]
    assert "whole True" in made.checkpoint(name)
    assert made.failed(name)  # 143: a Job must not count a cut run as complete


@pytest.mark.parametrize("end", ENDS)
def test_given_torchrun_behind_a_pipe_without_the_webhook_when_its_pod_is_ended_then_nobody_is_told(jobs, end):
    made, started = jobs
    name = f"{end}-without"
    assert not pods.is_patched(started[name])
    assert pods.grace_seconds(started[name]) > SAVE_SECONDS
    for rank in (0, 1):
        assert made.events(name, rank)[-1] == "trains"
    assert "whole" not in made.checkpoint(name)
    assert made.failed(name)
