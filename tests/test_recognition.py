"""Which pods train, where a golden case would say little: owners, launchers in a batch, servers, pods without an owner."""

import pytest

from tests.policy_calls import look_at
from webhook.policy.recognition.training import Verdict

TRAINS, NOT = Verdict.TRAINING, Verdict.NOT_TRAINING
GPU = {"resources": {"limits": {"nvidia.com/gpu": 1}}}
JOB = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "controller": True}
JOB_SET = {"jobset.sigs.k8s.io/jobset-name": "j"}
RAY = {"ray.io/cluster": "r", "ray.io/originated-from-crd": "RayCluster"}
HTTP = {"readinessProbe": {"httpGet": {"path": "/health", "port": 8000}}}
CLAIM = {"name": "data", "persistentVolumeClaim": {"claimName": "c"}}


def recognised(*, owner=None, labels=None, volumes=(), **container):
    metadata = {"labels": labels or {}, "ownerReferences": [owner] if owner else []}
    pod = {"metadata": metadata, "spec": {"containers": [{"name": "a", **container}], "volumes": list(volumes)}}
    found = look_at(pod).recognition
    return found.verdict, found.because


@pytest.mark.parametrize(
    ("group", "kind", "verdict"),
    [
        ("elastic.pytorch.org", "ElasticJob", TRAINS),
        ("flyte.lyft.com", "flyteworkflow", TRAINS),
        ("flyte.lyft.com", "FlyteWorkflow", TRAINS),
        ("flyte.org", "TaskAction", TRAINS),
        ("workflow.osmo.nvidia.com", "OSMOTaskGroup", TRAINS),
        ("flyte.org", "App", NOT),
        ("example.com", "TaskAction", NOT),
    ],
)
def test_an_accelerator_and_an_owner_that_runs_batches_are_training(group, kind, verdict):
    owner = {"apiVersion": f"{group}/v1", "kind": kind, "name": "o", "controller": True}
    assert recognised(owner=owner, **GPU)[0] is verdict
    without_accelerator = TRAINS if group == "elastic.pytorch.org" else NOT
    assert recognised(owner=owner)[0] is without_accelerator


@pytest.mark.parametrize(
    ("command", "because"),
    [
        (["torchrun", "train.py", "--checkpoint_dir=/c"], "torchrun with a path to save to in a Job"),
        (["torchrun", "train.py", "--checkpoint_dir=./c"], "torchrun with a path to save to in a Job"),
        (["torchrun", "train.py", "--output_path=/c"], "torchrun with a path to save to in a Job"),
        (
            ["bash", "-c", "cd /x; accelerate launch t.py output_dir=/c"],
            "accelerate launch with a path to save to in a Job",
        ),
        (["mpirun", "-np", "4", "python", "t.py", "--save", "/c"], "mpirun with a path to save to in a Job"),
        (["torchrun", "train.py"], None),
        (["torchrun", "train.py", "--checkpoint_dir="], None),
        (["torchrun", "evaluate.py", "--checkpoint_path=/c"], None),
        (["ray", "start", "--block", "--save=/c"], None),
        (["python", "train.py", "--output_dir=/c"], None),
    ],
)
def test_a_launcher_that_is_told_where_to_save_trains_in_a_batch_without_an_accelerator(command, because):
    found = recognised(owner=JOB, command=command)
    assert found == ((TRAINS, because) if because else (NOT, "no mark of a training system"))
    assert recognised(command=command)[0] is NOT


@pytest.mark.parametrize(
    ("pod", "because"),
    [
        ({"labels": JOB_SET, **HTTP}, "a readiness probe asks container a"),
        ({"labels": JOB_SET, "readinessProbe": {"grpc": {"port": 1}}}, "a readiness probe asks container a"),
        ({"labels": RAY, **HTTP, "command": ["ray", "start", "--block"]}, "a readiness probe asks container a"),
        ({"labels": RAY, "command": ["vllm", "serve", "m"]}, "it runs vllm serve"),
        ({"owner": JOB, "command": ["tritonserver"], **GPU}, "it runs tritonserver"),
        (
            {"labels": {**JOB_SET, "jobset.sigs.k8s.io/replicatedjob-name": "model-initializer"}},
            "label jobset.sigs.k8s.io/replicatedjob-name=model-initializer",
        ),
        (
            {"labels": {**JOB_SET, "jobset.sigs.k8s.io/replicatedjob-name": "dataset-initializer"}},
            "label jobset.sigs.k8s.io/replicatedjob-name=dataset-initializer",
        ),
    ],
)
def test_a_server_and_an_initializer_are_no_training(pod, because):
    assert recognised(**pod) == (NOT, because)


@pytest.mark.parametrize(
    "pod",
    [
        {"labels": {**JOB_SET, "jobset.sigs.k8s.io/replicatedjob-name": "node"}},
        {"labels": JOB_SET, **HTTP, "command": ["torchrun", "train.py"]},
        {"labels": JOB_SET, "readinessProbe": {"tcpSocket": {"port": 2222}}},
        {"labels": RAY, "readinessProbe": {"exec": {"command": ["wget"]}}},
        {"labels": RAY, "readinessProbe": {"httpGet": {"path": "/api/local_raylet_healthz", "port": 52365}}},
        {"labels": RAY, "command": ["python", "t.py", "--rollout=vllm"]},
        {"owner": JOB, **HTTP, **GPU},
        {"labels": {**JOB_SET, "gracekeeper.dev/enabled": "true"}, **HTTP},
    ],
)
def test_what_only_resembles_a_server_trains(pod):
    assert recognised(**pod)[0] is TRAINS


def test_a_pod_without_owner_trains_by_an_accelerator_a_volume_and_a_sign_together():
    whole = {"env": [{"name": "CKPT_DIR", "value": "/d"}], "volumeMounts": [{"name": "data", "mountPath": "/d"}], **GPU}
    because = "nvidia.com/gpu, a volume that lasts, and environment variable CKPT_DIR"
    assert recognised(volumes=[CLAIM], **whole) == (TRAINS, because)
    for less in whole:
        assert recognised(volumes=[CLAIM], **{key: value for key, value in whole.items() if key != less})[0] is NOT
    assert recognised(**whole)[0] is NOT
    assert recognised(volumes=[CLAIM], **whole, **HTTP)[0] is NOT
    assert recognised(volumes=[CLAIM], **whole, command=["sleep", "infinity"])[0] is NOT
    owner = {"apiVersion": "example.com/v1", "kind": "Session", "name": "s"}
    assert recognised(owner=owner, volumes=[CLAIM], **whole)[0] is NOT
