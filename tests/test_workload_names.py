"""The two names of a workload, on pods that are rendered twice from charts and manifests like those of real repositories."""

import copy
import json
import re
from hashlib import sha256
from pathlib import Path
from string import Template
from typing import Any

import pytest
import yaml

from webhook.policy.pod import read_pod
from webhook.policy.workload.workload_names import WorkloadNames, names_of

EXAMPLES = Path(__file__).parents[1] / "e2e" / "osmo" / "examples"
UID = "00000000-0000-0000-0000-000000000000"
HELM_JOB = """
metadata:
  generateName: $release-trainer-
  labels: {app.kubernetes.io/instance: $release, app.kubernetes.io/name: trainer, batch.kubernetes.io/job-name: $release-trainer}
  ownerReferences: [{apiVersion: batch/v1, kind: Job, name: $release-trainer, controller: true, uid: "1"}]
spec:
  containers:
  - name: trainer
    image: registry.example.com:5000/team/train:$tag
    command: [torchrun, --nproc_per_node=8, "--master_port=$port", "--rdzv_endpoint=$release-trainer-0.$release:$port",
      "--rdzv_id=$run", train.py]
    args: [--model_name_or_path, $model, --output_dir, /ckpt/$release/$date, --run_name, $release, "--lr=$lr", --seed, "$seed"]
    env:
    - {name: MASTER_ADDR, value: $release-trainer-0.$release}
    - {name: MASTER_PORT, value: "$port"}
    - {name: WANDB_RUN_ID, value: $run}
    - {name: RANK, value: "$rank"}
    - {name: WORLD_SIZE, value: "32"}
    - {name: BATCH, value: "$batch"}
    - {name: LOG_DIR, value: "/logs/$release-$date"}
    resources: {limits: {nvidia.com/gpu: 8}}
    volumeMounts: [{name: ckpt, mountPath: /ckpt}]
  volumes: [{name: ckpt, persistentVolumeClaim: {claimName: $release-checkpoints}}]
"""
ONE_RUN = {
    "release": "run-a",
    "tag": "1.2",
    "port": "29500",
    "run": "3f2b8a1c-11d2-4c5e-9f0a-0123456789ab",
    "model": "meta-llama/Llama-3.1-8B",
    "date": "2026-11-27",
    "lr": "1e-4",
    "seed": "1",
    "rank": "0",
    "batch": "16",
}
NEXT_RUN = {
    "release": "night-of-bob",
    "port": "31234",
    "run": "9d8c7b6a-22d2-4c5e-9f0a-abcdef012345",
    "date": "2026-11-28",
    "rank": "3",
}


def rendered(text: str = HELM_JOB, **values: str) -> dict[str, Any]:
    pod: dict[str, Any] = yaml.safe_load(Template(text).substitute({**ONE_RUN, **values}))
    return pod


def names(pod: dict[str, Any]) -> WorkloadNames:
    return names_of(read_pod(pod))


def a_pod(*words: str, name: str = "", owner: tuple[str, str, str] | None = None, **fields: Any) -> dict[str, Any]:
    """A pod with this command, and with what `fields` say of its trainer (env) or of the pod (labels, volumes)."""
    metadata: dict[str, Any] = {"name": name, "labels": fields.pop("labels", {})}
    if owner is not None:
        api_version, kind, owner_name = owner
        metadata["ownerReferences"] = [
            {"apiVersion": api_version, "kind": kind, "name": owner_name, "uid": UID, "controller": True}
        ]
    env = [{"name": key, "value": value} for key, value in fields.pop("env", {}).items()]
    volumes = fields.pop("volumes", [])
    mounts = [{"name": volume["name"], "mountPath": f"/{volume['name']}"} for volume in volumes]
    container = {"name": "t", "image": "train:1", "command": list(words), "env": env, "volumeMounts": mounts, **fields}
    return {"metadata": metadata, "spec": {"containers": [container], "volumes": volumes}}


def test_a_name_is_16_hex_digits():
    both = names(rendered())
    assert all(re.fullmatch("[0-9a-f]{16}", name) for name in (both.coarse, both.exact))
    assert both.coarse != both.exact


def test_the_next_run_under_another_release_has_both_names():
    assert names(rendered()) == names(rendered(**NEXT_RUN))


@pytest.mark.parametrize(
    "change", [{"seed": "2"}, {"lr": "3e-5"}, {"lr": "0.0001"}, {"tag": "1.3"}, {"tag": "2026-11-28"}, {"batch": "32"}]
)
def test_a_run_of_a_sweep_shares_the_coarse_name_alone(change):
    one, other = names(rendered()), names(rendered(**change))
    assert one.coarse == other.coarse
    assert one.exact != other.exact


@pytest.mark.parametrize(
    "model", ["meta-llama/Llama-3.1-70B", "mistralai/Mixtral-8x7B", "mistralai/Mixtral-8x22B", "Qwen/Qwen3-235B-A22B"]
)
def test_another_model_with_the_same_script_has_other_names(model):
    one, other = names(rendered()), names(rendered(model=model))
    assert one.exact != other.exact
    assert one.coarse != other.coarse


SAME_MODEL = {
    "a generated suffix of the owner": (
        a_pod("train.py", "--save_dir=/c/sft-x7f2k", owner=("jobset.x-k8s.io/v1alpha2", "JobSet", "sft-x7f2k")),
        a_pod("train.py", "--save_dir=/c/sft-p9q4m", owner=("jobset.x-k8s.io/v1alpha2", "JobSet", "sft-p9q4m")),
    ),
    "{{ now }} as a compact date with a time": (
        a_pod("train.py", "--log-dir", "/logs/20261127-164000"),
        a_pod("train.py", "--log-dir", "/logs/20261128-031559"),
    ),
    "an ISO date": (
        a_pod("sh", "-c", "train.py --out /o/2026-11-27T16:40:00Z"),
        a_pod("sh", "-c", "train.py --out /o/2026-11-28T03:15:59Z"),
    ),
    "seconds since 1970": (a_pod("train.py", "--name=sft-1795884000"), a_pod("train.py", "--name=sft-1795970400")),
    "a UUID in the middle of a path": (
        a_pod("train.py", "s3://b/0a1b2c3d-0000-4000-8000-000000000001/ckpt"),
        a_pod("train.py", "s3://b/ffffffff-0000-4000-8000-000000000002/ckpt"),
    ),
    "an Argo workflow": (
        a_pod(
            "train.py",
            "--output_dir=/w/train-8x2kd",
            labels={"workflows.argoproj.io/workflow": "train-8x2kd"},
            env={"ARGO_NODE_ID": "train-8x2kd-1", "ARGO_TEMPLATE": "{1}"},
        ),
        a_pod(
            "train.py",
            "--output_dir=/w/train-kq4vz",
            labels={"workflows.argoproj.io/workflow": "train-kq4vz"},
            env={"ARGO_NODE_ID": "train-kq4vz-7", "ARGO_TEMPLATE": "{2}"},
        ),
    ),
    "a Flyte execution": (
        a_pod("pyflyte-execute", "--inputs", "s3://b/p-dev-f3a8b2c1d4/n0", labels={"execution-id": "f3a8b2c1d4"}),
        a_pod("pyflyte-execute", "--inputs", "s3://b/p-dev-a9s8d7f6g5/n0", labels={"execution-id": "a9s8d7f6g5"}),
    ),
    "pods of a PyTorchJob": (
        a_pod(
            "train.py",
            env={"PET_RDZV_ENDPOINT": "llm-a-master-0:23456", "PET_NODE_RANK": "0", "PET_NNODES": "2"},
            labels={"training.kubeflow.org/job-name": "llm-a"},
        ),
        a_pod(
            "train.py",
            env={"PET_RDZV_ENDPOINT": "other-master-0:29400", "PET_NODE_RANK": "1", "PET_NNODES": "2"},
            labels={"training.kubeflow.org/job-name": "other"},
        ),
    ),
    "pods of a Volcano job": (
        a_pod(
            "train.py",
            env={"VC_WORKER_HOSTS": "a1-worker-0.a1", "VC_TASK_INDEX": "0"},
            labels={"volcano.sh/job-name": "a1"},
        ),
        a_pod(
            "train.py",
            env={"VC_WORKER_HOSTS": "b2-worker-0.b2", "VC_TASK_INDEX": "1"},
            labels={"volcano.sh/job-name": "b2"},
        ),
    ),
    "TF_CONFIG of two workers of two jobs": (
        a_pod(
            "t.py",
            env={"TF_CONFIG": json.dumps({"cluster": {"w": ["x8-w-0.ns:2222"]}, "task": {"index": 0}})},
            name="x8",
        ),
        a_pod(
            "t.py",
            env={"TF_CONFIG": json.dumps({"cluster": {"w": ["y9-w-0.ns:3333"]}, "task": {"index": 1}})},
            name="y9",
        ),
    ),
    "a rank on the command line": (
        a_pod("torchrun", "--node_rank", "0", "train.py"),
        a_pod("torchrun", "--node_rank", "1", "train.py"),
    ),
    "a rank beside a world size": (
        a_pod("main.py", "--rank", "0", "--world-size", "4"),
        a_pod("main.py", "--rank", "3", "--world-size", "4"),
    ),
    "a port in a line for a shell": (
        a_pod("bash", "-c", "torchrun --master_port 29500 --rdzv-endpoint=host:29500 train.py"),
        a_pod("bash", "-c", "torchrun --master_port 29999 --rdzv-endpoint=host:29999 train.py"),
    ),
    "a JobSet's hosts": (
        a_pod("t.py", env={"MASTER_ADDR": "a1-node-0-0.a1"}, labels={"jobset.sigs.k8s.io/jobset-name": "a1"}),
        a_pod("t.py", env={"MASTER_ADDR": "b22-node-0-0.b22"}, labels={"jobset.sigs.k8s.io/jobset-name": "b22"}),
    ),
}


@pytest.mark.parametrize("pair", SAME_MODEL.values(), ids=SAME_MODEL)
def test_what_differs_from_run_to_run_is_in_no_name(pair):
    one, other = pair
    assert names(one) == names(other)


def config_map(name: str) -> list[dict[str, Any]]:
    return [{"name": "config", "configMap": {"name": name}}]


OTHER_MODEL = {
    "a size in an argument": (a_pod("t.py", "--model=llama-7b"), a_pod("t.py", "--model=llama-70b")),
    "a mixture of experts whose size looks generated": (
        a_pod("t.py", "--out=/c/mixtral-8x7b", name="mixtral-8x7b"),
        a_pod("t.py", "--out=/c/mixtral-8x22b", name="mixtral-8x22b"),
    ),
    "a size in the name of the run alone": (
        a_pod("t.py", "--run_name", "llama2-7b-fsdp", name="llama2-7b-fsdp"),
        a_pod("t.py", "--run_name", "llama2-70b-fsdp", name="llama2-70b-fsdp"),
    ),
    "a family in the name of the run alone": (
        a_pod("t.py", "--out=/c/resnet50", name="resnet50"),
        a_pod("t.py", "--out=/c/resnet152", name="resnet152"),
    ),
    "a version of a family": (
        a_pod("t.py", "--out=/c/llama-2", name="llama-2"),
        a_pod("t.py", "--out=/c/llama-3", name="llama-3"),
    ),
    "a run that is called as its model": (
        a_pod("t.py", "--model", "aurora", name="aurora"),
        a_pod("t.py", "--model", "borealis", name="borealis"),
    ),
    "a run that is called as its recipe": (
        a_pod("t.py", "experiment=aurora", name="aurora"),
        a_pod("t.py", "experiment=borealis", name="borealis"),
    ),
    "a run that is called as its module": (
        a_pod("python", "-m", "recipes.aurora", name="aurora"),
        a_pod("python", "-m", "recipes.borealis", name="borealis"),
    ),
    "a mounted ConfigMap of the release": (
        a_pod("t.py", name="aurora", volumes=config_map("aurora-config")),
        a_pod("t.py", name="borealis", volumes=config_map("borealis-config")),
    ),
    "a ConfigMap by the hash of its content": (
        a_pod("t.py", volumes=config_map("config-7f8g9h2k5t")),
        a_pod("t.py", volumes=config_map("config-24c6bd9hm7")),
    ),
    "a ConfigMap as environment": (
        a_pod("t.py", envFrom=[{"configMapRef": {"name": "aurora"}}]),
        a_pod("t.py", envFrom=[{"configMapRef": {"name": "borealis"}}]),
    ),
    "a variable": (a_pod("t.py", env={"MODEL_ID": "a/b"}), a_pod("t.py", env={"MODEL_ID": "a/c"})),
    "a dated release of a model": (
        a_pod("t.py", "--model=claude-20251001"),
        a_pod("t.py", "--model=claude-20261001"),
    ),
    "a revision": (a_pod("t.py", "--revision=0a1b2c3d4"), a_pod("t.py", "--revision=9a8b7c6d5")),
    "a LoRA rank": (a_pod("t.py", "--lora_rank=8"), a_pod("t.py", "--lora_rank=256")),
    "a rank that is a LoRA's": (a_pod("t.py", "--rank=4"), a_pod("t.py", "--rank=64")),
    "a number of tokens": (a_pod("t.py", "--tokens=1500000000"), a_pod("t.py", "--tokens=1600000000")),
    "a digest": (a_pod("t.py", image="x@sha256:aa"), a_pod("t.py", image="x@sha256:bb")),
    "the order of words": (a_pod("t.py", "a", "b"), a_pod("t.py", "b", "a")),
    "where a word ends": (a_pod("t.py", "a b"), a_pod("t.py", "a", "b")),
    "accelerators": (
        a_pod("t.py", resources={"limits": {"nvidia.com/gpu": 1}}),
        a_pod("t.py", resources={"limits": {"nvidia.com/gpu": 8}}),
    ),
    "the number of pods": (a_pod("t.py", env={"PET_NNODES": "2"}), a_pod("t.py", env={"PET_NNODES": "4"})),
}


@pytest.mark.parametrize("pair", OTHER_MODEL.values(), ids=OTHER_MODEL)
def test_no_two_models_share_an_exact_name(pair):
    one, other = pair
    assert names(one).exact != names(other).exact


MODELS = (
    *("aurora", "borealis"),
    *("7b", "13B", "70b", "8x7b", "8x22B", "405b", "235b-a22b", "1.5b", "350m"),
    *("llama-2-7b", "llama-3-8b", "Llama-3.1-8B", "qwen2.5-72b", "mistral-nemo", "mixtral-8x22b"),
    *("resnet50", "resnet101", "gpt2", "gpt2-xl", "t5-small", "t5-large", "bert-base", "bert-large"),
)
WAYS_TO_NAME_A_MODEL = {
    "a flag and a word": lambda model: a_pod("train.py", "--model", model, name=model),
    "a flag with its value": lambda model: a_pod("train.py", f"--model_name_or_path={model}", name=model),
    "a word": lambda model: a_pod("train.py", model, name=model),
    "a module": lambda model: a_pod("python", "-m", f"recipes.{model}", name=model),
    "an override": lambda model: a_pod("train.py", f"+experiment={model}", name=model),
    "the checkpoint to begin with": lambda model: a_pod("train.py", f"--model_checkpoint_path=/m/{model}", name=model),
    "a task": lambda model: a_pod("train.py", "--task_name", model, name=model),
    "a file": lambda model: a_pod("train.py", "--config", f"configs/{model}.yaml", name=model),
    "a line for a shell": lambda model: a_pod("bash", "-c", f"cd /w && train.py --arch {model} | tee log", name=model),
    "a variable": lambda model: a_pod("train.py", env={"MODEL": model}, name=model),
    "a variable that nothing explains": lambda model: a_pod("train.py", env={"X": model}, name=model),
    "an image": lambda model: a_pod("train.py", image=f"registry.example.com/{model.lower()}:1", name=model),
    "a ConfigMap": lambda model: a_pod("train.py", name=model, volumes=config_map(f"{model}-config")),
}
"""Each run is called as its model is, which is the hardest case: names of runs are taken out elsewhere."""


@pytest.mark.parametrize("way", WAYS_TO_NAME_A_MODEL.values(), ids=WAYS_TO_NAME_A_MODEL)
def test_a_model_is_told_apart_however_the_pod_names_it(way):
    by_model = {model: names(way(model)).exact for model in MODELS}
    assert len(set(by_model.values())) == len(MODELS), sorted(by_model.items(), key=lambda item: item[1])


def test_a_model_that_only_the_name_of_the_run_tells_is_told_apart_by_sizes_and_families():
    known = [model for model in MODELS if model not in {"aurora", "borealis"}]
    for words in (("--output_dir=/c/{}",), ("--run_name", "{}")):
        pods = [a_pod("train.py", *(word.format(model) for word in words), name=model) for model in known]
        assert len({names(pod).exact for pod in pods}) == len(known)


@pytest.mark.parametrize("size", ["70b", "8x7B", "405B", "1.5b", "350m", "8x22b", "a22b"])
def test_the_size_of_a_model_is_no_run_id(size):
    one, other = (a_pod("t.py", f"--out=/c/llm-{each}", name=f"llm-{each}") for each in (size, "13b"))
    assert names(one).coarse != names(other).coarse
    assert names(one).exact != names(other).exact


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/c/run-7", "/c/run-12"),
        ("/c/9f8e7d6c5b", "/c/0a1b2c3d4e"),
        ("/c/sft-x7f2k", "/c/sft-p9q4m"),
        ("a:1e-4", "a:0.1"),
    ],
)
def test_numbers_and_ids_that_nothing_explains_part_the_exact_names_only(one, other):
    one, other = names(a_pod("t.py", one)), names(a_pod("t.py", other))
    assert one.coarse == other.coarse
    assert one.exact != other.exact


def test_another_download_of_the_model_before_the_trainer_is_another_model():
    def pod(model: str) -> dict[str, Any]:
        pod = a_pod("t.py", volumes=[{"name": "model", "emptyDir": {}}])
        mounts = [{"name": "model", "mountPath": "/model"}]
        init = {"name": "get", "image": "hf:1", "command": ["hf", "download", model], "volumeMounts": mounts}
        pod["spec"]["initContainers"] = [init]
        return pod

    assert names(pod("org/aurora")).exact != names(pod("org/borealis")).exact


def test_the_ordinal_of_a_stateful_set_is_in_no_name():
    def pod(ordinal: int) -> dict[str, Any]:
        claim = {"name": "ckpt", "persistentVolumeClaim": {"claimName": f"ckpt-train-{ordinal}"}}
        return a_pod("t.py", name=f"train-{ordinal}", owner=("apps/v1", "StatefulSet", "train"), volumes=[claim])

    assert names(pod(0)) == names(pod(11))


def test_the_claim_of_an_ephemeral_volume_counts_by_its_volume():
    def pod(name: str) -> dict[str, Any]:
        return a_pod("t.py", name=name, volumes=[{"name": "ckpt", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}])

    assert names(pod("a1")) == names(pod("b2"))
    assert names(pod("a1")).coarse != names(a_pod("t.py", name="a1")).coarse


def test_what_is_added_to_a_pod_is_in_no_name():
    # given
    pod = rendered()
    changed = copy.deepcopy(pod)
    spec, trainer = changed["spec"], changed["spec"]["containers"][0]
    # when: as gracekeeper wraps it, and as a service mesh injects its sidecar
    trainer["command"] = ["/gracekeeper/bin/supervise", "forward", "--limit", "60s", "--", *trainer["command"]]
    trainer["env"].append({"name": "TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "value": "595"})
    trainer["volumeMounts"].append({"name": "gracekeeper", "mountPath": "/gracekeeper"})
    spec["terminationGracePeriodSeconds"] = 600
    spec["volumes"].append({"name": "gracekeeper", "emptyDir": {}})
    mounts = [{"name": "gracekeeper", "mountPath": "/gracekeeper"}]
    spec["initContainers"] = [
        {
            "name": "gracekeeper-init",
            "image": "supervise",
            "command": ["/supervise", "install"],
            "volumeMounts": mounts,
        },
        {"name": "istio-init", "image": "istio:1", "args": ["-p", "15001"]},
    ]
    spec["containers"].append({"name": "istio-proxy", "image": "istio:1"})
    changed["metadata"]["annotations"] = {"gracekeeper.dev/decision": "{}"}
    # then
    assert names(changed) == names(pod)


def osmo_pod(workflow: str, retry: str, uuid: str, script: str = "/tmp/run.sh") -> dict[str, Any]:
    labels = {
        "osmo.workflow_id": workflow,
        "osmo.workflow_uuid": uuid,
        "osmo.task_uuid": uuid,
        "osmo.group_uuid": uuid,
        "osmo.task_name": "train",
        "osmo.pool": "robotics",
        "osmo.platform": "gpu-h100",
        "osmo.retry_id": retry,
    }
    words = ["/osmo/bin/osmo_exec", "-checkpoint", f"/ckpt;s3://b/{workflow}", "-args", script]
    pod = a_pod(*words, name=f"{uuid[:16]}-{uuid[:16]}", labels=labels)
    pod["spec"]["containers"].append({"name": "osmo-ctrl", "command": ["/osmo/bin/osmo_ctrl"]})
    return pod


def test_an_osmo_task_is_known_by_its_workflow_pool_and_task():
    # given
    uuids = ("5f0c9a1e7b3d4c62a8e1f4d27b90c3ab", "b71d20c4e9f84a1d9c3350aa6e8f12d7")
    one = osmo_pod("train-llama-7", "0", uuids[0])
    # when, then
    assert names(one) == names(osmo_pod("train-llama-8", "1", uuids[1]))
    assert names(one).exact != names(osmo_pod("train-mixtral-8", "0", uuids[1])).exact
    other_pool = osmo_pod("train-llama-7", "0", uuids[0])
    other_pool["metadata"]["labels"]["osmo.pool"] = "other"
    assert names(one).coarse != names(other_pool).coarse


def example_of_osmo(file: str, workflow_run: str, seed: str) -> dict[str, Any]:
    """A task as OSMO makes it for another run of the same workflow: with other uuids, and the workflow's next number."""
    text = (EXAMPLES / file).read_text()
    wholes = set(re.findall(r"\b[0-9a-f]{32}\b", text))
    for uuid in sorted({*wholes, *re.findall(r"\b[0-9a-f]{16}\b", text)}, key=len, reverse=True):
        whole = next((each for each in sorted(wholes) if each.startswith(uuid)), uuid)
        text = text.replace(uuid, sha256((seed + whole).encode()).hexdigest()[: len(uuid)])
    pod: dict[str, Any] = next(yaml.safe_load_all(text))
    workflow = pod["metadata"]["labels"]["osmo.workflow_id"]
    renamed = json.dumps(pod).replace(workflow, f"{workflow.rpartition('-')[0]}-{workflow_run}")
    again: dict[str, Any] = json.loads(renamed)
    return again


@pytest.mark.parametrize("file", ["rc6-group-as-webhook-sees.yaml", "rc6-single-train-as-webhook-sees.yaml"])
def test_a_task_as_osmo_makes_it_has_the_names_of_its_workflows_next_run(file):
    one, other = example_of_osmo(file, "7", "a"), example_of_osmo(file, "112", "b")
    assert one["metadata"]["name"] != other["metadata"]["name"]
    assert names(one) == names(other)


def test_pods_of_one_job_share_their_names_whatever_their_rank():
    ranks = [rendered(rank=str(rank)) for rank in range(4)]
    assert len({names(pod) for pod in ranks}) == 1


def test_no_part_of_a_long_script_is_lost():
    script = "echo step\n" * 20_000
    one, other = a_pod("bash", "-c", script + "train --model 7b"), a_pod("bash", "-c", script + "train --model 70b")
    assert names(one).exact != names(other).exact


def test_an_empty_pod_has_names():
    assert names({}) == names({"metadata": {}, "spec": {"containers": []}})
