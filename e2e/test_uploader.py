"""A sidecar that uploads the trainer's checkpoint: told to stop too early without gracekeeper, after the trainer with it.

The namespace enforces Pod Security `restricted`, and trainer and uploader run under different users.
"""

import pytest

from e2e import pods
from tools import training_pod
from tools.cluster.steps import run
from tools.kube import Json, eventually

KINDS = ("regular", "native")
NEEDED_SECONDS = 156
"""(30 s step + 0.1 s write + 40 s upload) x 2 + 15 s, rounded up."""
NEEDED = {"checkpoint-size": "10MiB", "upload-size": "100MiB", "upload-throughput": "2.5MiBps"}
OVER_SECONDS = NEEDED_SECONDS + 30

TRAINS = """
import pathlib, signal, time
told = []
signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
print("training", flush=True)
while not told:
    time.sleep(0.1)
time.sleep(5)
pathlib.Path("/out/checkpoint").write_text("weights")
"""
UPLOADS = """
import pathlib, signal, sys, time
def upload(number, frame):
    if pathlib.Path("/out/checkpoint").exists():
        part = pathlib.Path("/bucket/checkpoint.part")
        part.write_text("weights")
        time.sleep(35)
        part.rename("/bucket/checkpoint")
    sys.exit(0)
signal.signal(signal.SIGTERM, upload)
print("waiting", flush=True)
while True:
    signal.pause()
"""

pytestmark = [pytest.mark.usefixtures("release"), pytest.mark.release]


def a_pod_that_uploads(name: str, kind: str, image: str, node: str) -> Json:
    """A trainer and its uploader, which share an emptyDir; the native sidecar runs below a shell that drops SIGTERM."""
    python = ["python3", "-c"]
    command = [*python, UPLOADS] if kind == "regular" else ["sh", "-c", f"python3 -c '{UPLOADS}'; echo over"]
    out, bucket = {"name": "out", "mountPath": "/out"}, {"name": "bucket", "mountPath": "/bucket"}
    trainer = a_container("trainer", image, [*python, TRAINS], 1000, out)
    uploader = a_container("uploader", image, command, 2000, out, bucket)
    regular = {"containers": [trainer, uploader]}
    native = {"containers": [trainer], "initContainers": [{**uploader, "restartPolicy": "Always"}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": node},
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            **(regular if kind == "regular" else native),
            "volumes": [
                {"name": "out", "emptyDir": {}},
                {"name": "bucket", "persistentVolumeClaim": {"claimName": name}},
            ],
        },
    }


def a_container(name: str, image: str, command: list[str], user: int, *mounts: Json) -> Json:
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "Never",
        "command": command,
        "env": [{"name": "CHECKPOINT_DIR", "value": "/out"}] if name == "trainer" else [],
        "volumeMounts": list(mounts),
        "securityContext": {
            "runAsUser": user,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }


@pytest.fixture
def create(kube, worker, namespace, trainer_image):
    """Creates a pod that runs, with a bucket in a folder of its node; the result is the pod as it was admitted."""
    kube("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    made = []

    def create(name: str, kind: str, **metadata) -> Json:
        folder = f"/var/local/e2e/{namespace}/{name}"
        run(["docker", "exec", worker, "sh", "-c", f"rm -rf {folder} && mkdir -p {folder} && chmod 777 {folder}"])
        volume = f"{namespace}-{name}"
        kube.apply(
            training_pod.a_host_path_volume(volume, folder),
            training_pod.a_claim(name, namespace, "by-hand", volume),
        )
        made.append(volume)
        manifest = a_pod_that_uploads(name, kind, trainer_image, worker)
        manifest["metadata"] |= metadata
        admitted: Json = kube.create_pod(namespace, manifest)
        return admitted

    yield create
    kube("delete", "pods", "--all", f"-n{namespace}", "--grace-period=0", "--force")
    kube("delete", "pv", *made, "--wait=false")


def wait_until_it_trains(kube, namespace: str, name: str) -> None:
    eventually(lambda: "training" in kube("logs", name, "-ctrainer", f"-n{namespace}"), f"{name} trains", 120)
    eventually(lambda: "waiting" in kube("logs", name, "-cuploader", f"-n{namespace}"), f"{name} waits", 120)


def test_given_a_named_uploader_when_deleted_in_training_then_it_uploads_what_is_lost_without_gracekeeper(
    kube, worker, namespace, create
):
    # given
    names = []
    for kind in KINDS:
        annotations = {f"gracekeeper.dev/{key}": value for key, value in NEEDED.items()}
        annotations["gracekeeper.dev/upload-container"] = "uploader"
        alone = create(f"{kind}-without", kind, labels={"gracekeeper.dev/enabled": "false"})
        assert not pods.is_patched(alone)
        held = create(f"{kind}-held", kind, annotations=annotations)
        assert pods.grace_seconds(held) == NEEDED_SECONDS
        assert "upload-container" in pods.decision(held)["terms"]
        names += [f"{kind}-without", f"{kind}-held"]
    for name in names:
        wait_until_it_trains(kube, namespace, name)
    # when
    kube("delete", "pod", *names, f"-n{namespace}", "--wait=false")
    eventually(lambda: not kube.get("pods", namespace=namespace)["items"], "all are gone", OVER_SECONDS)
    # then
    buckets = {
        name: run(["docker", "exec", worker, "ls", f"/var/local/e2e/{namespace}/{name}"]).split() for name in names
    }
    assert {name: "checkpoint" in files for name, files in buckets.items()} == {
        "regular-without": False,
        "regular-held": True,
        "native-without": False,
        "native-held": True,
    }
