"""A trainer that needs 45 s to save: cut off after 30 s without gracekeeper, complete with it."""

import json

import pytest

from e2e import pods
from tools import training_pod
from tools.cluster.steps import StepError, run
from tools.kube import eventually

VOLUME_SPEED = {"gracekeeper.dev/write-throughput": "5MiB/s"}
NEEDED = {"gracekeeper.dev/checkpoint-size": "100MiB"}
NEEDED_SECONDS = 115
"""(30 s step + 100 MiB / 5 MiB/s) x 2 + 15 s."""
LEFT_ALONE = {"gracekeeper.dev/enabled": "false"}
OVER_SECONDS = 180


pytestmark = pytest.mark.usefixtures("release")


@pytest.fixture
def trainer(kube, worker, namespace, trainer_image):
    """Starts a trainer with a volume of its own on a node; the result is the pod."""
    made = []

    def trainer(name: str, command=(), **metadata):
        folder = f"/var/local/e2e/{namespace}/{name}"
        run(["docker", "exec", worker, "rm", "-rf", folder])
        kube.apply(
            training_pod.a_host_path_volume(f"{namespace}-{name}", folder, VOLUME_SPEED),
            training_pod.a_claim(name, namespace, "by-hand", f"{namespace}-{name}"),
        )
        made.append(f"{namespace}-{name}")
        eventually(lambda: kube.get("pvc", name, namespace)["status"].get("phase") == "Bound", "a bound claim")
        manifest = training_pod.a_trainer(name, trainer_image, name, worker, **metadata)
        if command:
            manifest["spec"]["containers"][0]["command"] = list(command)
        created = kube.create_pod(namespace, manifest)
        eventually(lambda: "training" in kube("logs", name, f"-n{namespace}"), "a trainer that trains")
        return created

    yield trainer
    kube("delete", "pods", "--all", f"-n{namespace}", "--grace-period=0", "--force")
    kube("delete", "pv", *made, "--wait=false")


def files(worker, namespace: str, name: str) -> list[str]:
    """What is left on the volume."""
    return run(["docker", "exec", worker, "ls", f"/var/local/e2e/{namespace}/{name}"]).split()


def wait_until_gone(kube, namespace: str, *names: str) -> None:
    def are_gone() -> bool:
        return not any(kube.exists("pod", name, namespace) for name in names)

    eventually(are_gone, f"{names} are gone", OVER_SECONDS)


@pytest.mark.core
def test_a_deleted_trainer_loses_its_checkpoint_without_gracekeeper_and_keeps_it_with_it(
    kube, worker, namespace, trainer
):
    without = trainer("without", labels=LEFT_ALONE, annotations=NEEDED)
    assert pods.grace_seconds(without) == 30
    assert not pods.is_patched(without)
    patched = trainer("with", annotations=NEEDED)
    assert pods.grace_seconds(patched) == NEEDED_SECONDS
    kube("delete", "pod", "without", "with", f"-n{namespace}", "--wait=false")
    wait_until_gone(kube, namespace, "without", "with")
    assert files(worker, namespace, "without") == ["checkpoint.tmp"]
    assert files(worker, namespace, "with") == ["checkpoint"]


def test_a_trainer_behind_a_shell_loses_its_checkpoint_unless_sigterm_is_forwarded(kube, worker, namespace, trainer):
    behind_a_shell = ("sh", "-c", "python3 -u /trainer.py; echo over")
    trainer("dropped", behind_a_shell, annotations={"gracekeeper.dev/grace-seconds": "60"})
    forwarded = trainer("forwarded", behind_a_shell, annotations={**NEEDED, "gracekeeper.dev/forward-sigterm": "true"})
    assert forwarded["spec"]["containers"][0]["command"][1] == "forward"
    kube("delete", "pod", "dropped", "forwarded", f"-n{namespace}", "--wait=false")
    wait_until_gone(kube, namespace, "dropped", "forwarded")
    assert "checkpoint" not in files(worker, namespace, "dropped")
    assert files(worker, namespace, "forwarded") == ["checkpoint"]


def test_given_the_pre_pull_when_a_trainer_behind_a_pipe_carries_one_key_then_it_is_wrapped_unasked_and_saves(
    kube, worker, namespace, trainer, release
):
    behind_a_pipe = ("sh", "-c", "python3 -u /trainer.py | cat; echo over")
    without = trainer("without", behind_a_pipe, labels=LEFT_ALONE, annotations=NEEDED)
    assert "forward" not in without["spec"]["containers"][0]["command"]
    release.upgrade("--set=supervise.prePull.enabled=true")
    try:
        ready = ("rollout", "status", f"-n{release.namespace}", f"daemonset/{release.name}-prepull", "--timeout=60s")
        kube(*ready)
        eventually(lambda: is_wrapped_in_a_dry_run(kube, namespace), "a pod that is wrapped")
        wrapped = trainer("wrapped", behind_a_pipe, annotations=NEEDED)
        assert wrapped["spec"]["containers"][0]["command"][1] == "forward"
        kube("delete", "pod", "without", "wrapped", f"-n{namespace}", "--wait=false")
        wait_until_gone(kube, namespace, "without", "wrapped")
    finally:
        release.upgrade()
    assert "checkpoint" not in files(worker, namespace, "without")
    assert files(worker, namespace, "wrapped") == ["checkpoint"]


def is_wrapped_in_a_dry_run(kube, namespace: str) -> bool:
    """Whether a pod with one key, whose start loses the save, would start through supervise."""
    container = {"name": "trainer", "image": "registry.example/trainer:1", "command": ["sh", "-c", "train | tee log"]}
    metadata = {"name": "dry", "labels": {"training.kubeflow.org/job-name": "dry"}, "annotations": NEEDED}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}
    created = json.loads(
        kube("create", "-f", "-", f"-n{namespace}", "--dry-run=server", "-ojson", text=json.dumps(pod))
    )
    return "forward" in created["spec"]["containers"][0]["command"]


def test_a_drained_node_lets_the_trainer_finish(kube, worker, namespace, trainer, release):
    trainer("drained", annotations=NEEDED)
    try:
        kube("drain", worker, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=240s")
        assert not kube.exists("pod", "drained", namespace)
        assert files(worker, namespace, "drained") == ["checkpoint"]
    except StepError:
        print(kube("get", "pods", "-A", "-owide"))
        raise
    finally:
        kube("uncordon", worker)
        release.wait_for_rollout()
