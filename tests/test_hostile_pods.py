"""Pods that are made to stop a replica: a megabyte of whatever grows, decided and rendered like any other.

The bound is CPU time, far above what a decision takes; what is quadratic in a megabyte goes beyond it by far.
"""

import json
import time
from typing import Any

import pytest

from webhook.policy.config import MEBIBYTE, Config, GraceCap, Supervise, UnknownSize
from webhook.policy.decision import Decision, decide
from webhook.policy.facts import Facts, Missing, MissingReason
from webhook.policy.patch import Operation, operations

_MOST_CPU_SECONDS = 1.0
_LARGEST_ANNOTATION = 16 * 1024
_KEY = "gracekeeper.dev/"
_SIZE = {_KEY + "checkpoint-size": "10Gi"}
_ESTIMATE = Config(unknown_size=UnknownSize.ESTIMATE, supervise=Supervise(image="x/y:1"))
_CAPS = Config(
    grace_caps={f"cap-{i}": GraceCap(25, {"cloud.google.com/gke-spot": "true"}) for i in range(5)},
    node_throughput={f"cloud.google.com/gke-spot=x{i}": 1e6 for i in range(10)},
)
_NODES = {f"NVIDIA-A100-{i}": 81920 for i in range(500)}

Pod = dict[str, Any]


def a_pod(container: dict[str, Any] | None = None, *, annotations: dict[str, Any] | None = None, **spec: Any) -> Pod:
    return {
        "metadata": {
            "name": "p",
            "labels": {"training.kubeflow.org/job-name": "j"},
            "annotations": dict(_SIZE if annotations is None else annotations),
        },
        "spec": {"containers": [{"name": "a", "image": "b", **(container or {})}], **spec},
    }


def environment(**values: str) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def judged(pod: Pod, facts: Facts, config: Config) -> tuple[Decision, list[Operation], float]:
    began = time.process_time()
    decision = decide(pod, facts, config, "n")
    patch = operations(pod, decision)
    return decision, patch, time.process_time() - began


def check(pod: Pod, facts: Facts, config: Config) -> Decision:
    decision, patch, cpu_seconds = judged(pod, facts, config)
    assert cpu_seconds < _MOST_CPU_SECONDS
    assert len((decision.annotation or "").encode()) < _LARGEST_ANNOTATION
    assert len(decision.warnings) < 40
    assert all(len(warning) <= 120 for warning in decision.warnings)
    assert json.dumps(patch)
    return decision


PATHS = {
    "a variable that a path names 4000 times": a_pod(
        {"env": environment(A="x" * 900_000, CHECKPOINT_DIR="/" + "$(A)" * 4000)}
    ),
    "a variable of little that a path names 20000 times": a_pod(
        {
            "env": environment(
                A="x" * 40, CHECKPOINT_DIR="/" + "$(A)" * 20_000, **{f"V{i}": "$(A)" * 99 for i in range(999)}
            )
        }
    ),
    "a path of a megabyte": a_pod({"env": environment(CHECKPOINT_DIR="/" + "a/" * MEBIBYTE)}),
    "a working directory of a megabyte": a_pod(
        {"workingDir": "/" + "a/" * MEBIBYTE, "args": [f"--save=x{i}" for i in range(9999)]}
    ),
    "as many paths as mounts and volumes": a_pod(
        {
            "args": [word for i in range(9999) for word in ("--output_dir", f"/v{i}")],
            "volumeMounts": [{"name": f"v{i}", "mountPath": f"/v{i}"} for i in range(9999)],
        },
        volumes=[{"name": f"v{i}", "emptyDir": {}} for i in range(9999)],
    ),
    "long paths that no mount holds": a_pod(
        {
            "args": [f"--save=/{'a/' * 2000}{i}" for i in range(99)],
            "volumeMounts": [{"name": "v", "mountPath": f"/{'a/' * 20}{i}"} for i in range(9999)],
        }
    ),
    "a script of quotes that do not end": a_pod({"args": ["--save \"--save '" * 60_000]}),
    "a script of spaces": a_pod({"args": ["--save" + " " * MEBIBYTE + ";"]}),
}


VOLUMES = {
    "thousands of containers that mount the emptyDir": a_pod(
        annotations={**_SIZE, _KEY + "checkpoint-volume": "v"},
        volumes=[{"name": "v", "emptyDir": {}}],
        containers=[{"name": f"c{i}", "volumeMounts": [{"name": "v", "mountPath": "/c"}]} for i in range(12_000)],
    ),
    "a volume by a path of a megabyte, and containers": a_pod(
        annotations={**_SIZE, _KEY + "checkpoint-volume": "/" + "a/" * 400_000},
        containers=[{"name": f"c{i}", "volumeMounts": [{"name": "v", "mountPath": f"/a/{i}"}]} for i in range(6000)],
    ),
    "as many claims as mounts": a_pod(
        {"volumeMounts": [{"name": f"v{i}", "mountPath": f"/m{i}"} for i in range(9999)]},
        volumes=[{"name": f"v{i}", "persistentVolumeClaim": {"claimName": f"c{i}"}} for i in range(9999)],
    ),
    "as many claims of its own as there are classes": a_pod(
        volumes=[{"name": f"v{i}", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}} for i in range(9999)],
    ),
}
_CLASSES = {f"s{i}": {"metadata": {"name": f"s{i}"}} for i in range(500)}
_NOT_FOUND = tuple(Missing(f"PersistentVolumeClaim n/c{i}", MissingReason.NOT_FOUND) for i in range(9999))


@pytest.mark.parametrize("what", VOLUMES)
def test_no_volume_takes_long(what):
    check(VOLUMES[what], Facts(storage_classes=_CLASSES, missing=_NOT_FOUND), Config())


def test_of_containers_that_may_upload_three_are_named():
    decision = decide(VOLUMES["thousands of containers that mount the emptyDir"], Facts(), Config(), "n")
    assert any("container c1 or c2 or c3 or and 11996 more" in note for note in decision.notes)


def affinity(label: str, values: list[str], terms: int = 1) -> dict[str, Any]:
    term = {"matchExpressions": [{"key": label, "operator": "In", "values": values}]}
    required = {"nodeSelectorTerms": [term] * terms}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def askers(count: int, resource: str = "nvidia.com/gpu", amount: str = "1") -> list[dict[str, Any]]:
    return [{"name": f"c{i}", "resources": {"limits": {resource.format(i): amount}}} for i in range(count)]


_PRODUCT = "nvidia.com/gpu.product"
ACCELERATORS = {
    "containers and products of which none is known": a_pod(
        annotations={},
        containers=askers(6000),
        affinity=affinity("amd.com/gpu.product-name", [f"v{i}" for i in range(40_000)]),
    ),
    "containers and known products": a_pod(
        annotations={},
        containers=askers(6000),
        affinity=affinity(_PRODUCT, [f"NVIDIA-A100-{i}" for i in range(30_000)]),
    ),
    "resources and as many values as count": a_pod(
        annotations={},
        containers=askers(9999, "huawei.com/Ascend{}"),
        affinity=affinity(_PRODUCT, [f"NVIDIA-A100-{i}" for i in range(32)]),
    ),
    "terms of an affinity": a_pod(
        annotations={}, containers=askers(32, "huawei.com/Ascend{}"), affinity=affinity(_PRODUCT, ["A100"], 20_000)
    ),
    "huge numbers": a_pod(annotations={}, containers=askers(9999, "nvidia.com/gpu", "9" * 20 + "e99")),
    "a number of a megabyte": a_pod(annotations={}, containers=askers(1, "nvidia.com/gpu", "9" * MEBIBYTE)),
    "a resource of a megabyte": a_pod(annotations={}, containers=askers(1, "nvidia.com/mig-" + "9gb." * 250_000)),
    "a product of a megabyte": a_pod(annotations={}, containers=askers(1), nodeSelector={_PRODUCT: "A100-" * 200_000}),
    "values of labels that the configuration names": a_pod(
        affinity=affinity("cloud.google.com/gke-spot", [*map(str, range(100_000)), "true"])
    ),
}


@pytest.mark.parametrize("what", ACCELERATORS)
@pytest.mark.parametrize("config", [_ESTIMATE, _CAPS], ids=["estimate", "caps"])
def test_no_accelerator_takes_long(what, config):
    check(ACCELERATORS[what], Facts(accelerator_memory_mib=_NODES), config)


def test_of_many_products_three_are_named_and_beyond_32_none_is_known():
    few, many = ([f"NVIDIA-A100-{i:02}" for i in range(count)] for count in (32, 33))
    pods = [
        a_pod(annotations={}, containers=askers(2), affinity=affinity(_PRODUCT, products)) for products in (few, many)
    ]
    found = [check(pod, Facts(), _ESTIMATE) for pod in pods]
    assert "2 nvidia.com/gpu x 80 GiB (NVIDIA-A100-00, NVIDIA-A100-01, NVIDIA-A100-02, and 29 more)" in str(
        found[0].terms
    )
    assert found[1].outcome == "size-unknown"


SCRIPTS = {
    "line feeds": "a" + "\n" * MEBIBYTE + "b",
    "separators": "a;" + "; " * (MEBIBYTE // 2),
    "exec of nothing": "a;" + "; exec" * (MEBIBYTE // 6),
    "other spaces": "a;" + "\r\v\f" * (MEBIBYTE // 3),
}


@pytest.mark.parametrize("what", SCRIPTS)
def test_no_script_takes_long(what):
    assert any(
        "drops SIGTERM" in note
        for note in check(a_pod({"command": ["sh", "-c", SCRIPTS[what]]}), Facts(), Config()).notes
    )


@pytest.mark.parametrize("what", PATHS)
def test_no_path_takes_long(what):
    assert check(PATHS[what], Facts(), Config()).grace_seconds == 280


def test_a_quoted_path_is_short():
    decision = check(a_pod({"env": environment(CHECKPOINT_DIR="/" + "a" * 4000)}), Facts(), Config())
    assert f"CHECKPOINT_DIR /{'a' * 196}..." in (decision.annotation or "")
