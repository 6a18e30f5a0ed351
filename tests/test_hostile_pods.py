"""Pods that are made to stop a replica: a megabyte of whatever grows, decided and rendered like any other.

The bound is a second of CPU time, of the three that an API server waits; what is quadratic in a megabyte goes beyond it by
far. Neither the garbage collector, which would count what other tests have left, nor the tracer of the coverage, which makes
the policy four times slower than a server runs it, belongs to that second.
"""

import gc
import json
import sys
import time
from typing import Any

import pytest

from tests.policy_calls import decide_pod
from webhook.policy.configuration import MEBIBYTE, Config, GraceCap, Supervise, UnknownSize
from webhook.policy.decision import Decision
from webhook.policy.facts import Facts, Missing, MissingReason
from webhook.policy.patch import Operation, operations
from webhook.policy.report import warnings
from webhook.server.pod_in_review import MOST_CONTAINERS

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
    tracer = sys.gettrace()
    gc.disable()
    sys.settrace(None)
    try:
        began = time.thread_time()
        decision = decide_pod(pod, facts, config, "n")
        patch = operations(pod, decision)
        return decision, patch, time.thread_time() - began
    finally:
        sys.settrace(tracer)
        gc.enable()


def check(pod: Pod, facts: Facts, config: Config) -> Decision:
    decision, patch, cpu_seconds = judged(pod, facts, config)
    assert cpu_seconds < _MOST_CPU_SECONDS
    assert len((decision.annotation or "").encode()) < _LARGEST_ANNOTATION
    assert len(warnings(decision)) < 40
    assert all(len(warning) <= 120 for warning in warnings(decision))
    assert json.dumps(patch)
    return decision


PATHS = {
    "a variable that a path names 4000 times": lambda: a_pod(
        {"env": environment(A="x" * 900_000, CHECKPOINT_DIR="/" + "$(A)" * 4000)}
    ),
    "a variable of little that a path names 20000 times": lambda: a_pod(
        {
            "env": environment(
                A="x" * 40, CHECKPOINT_DIR="/" + "$(A)" * 20_000, **{f"V{i}": "$(A)" * 99 for i in range(999)}
            )
        }
    ),
    "a path of a megabyte": lambda: a_pod({"env": environment(CHECKPOINT_DIR="/" + "a/" * MEBIBYTE)}),
    "a working directory of a megabyte": lambda: a_pod(
        {"workingDir": "/" + "a/" * MEBIBYTE, "args": [f"--save=x{i}" for i in range(9999)]}
    ),
    "as many paths as mounts and volumes": lambda: a_pod(
        {
            "args": [word for i in range(9999) for word in ("--output_dir", f"/v{i}")],
            "volumeMounts": [{"name": f"v{i}", "mountPath": f"/v{i}"} for i in range(9999)],
        },
        volumes=[{"name": f"v{i}", "emptyDir": {}} for i in range(9999)],
    ),
    "long paths that no mount holds": lambda: a_pod(
        {
            "args": [f"--save=/{'a/' * 2000}{i}" for i in range(99)],
            "volumeMounts": [{"name": "v", "mountPath": f"/{'a/' * 20}{i}"} for i in range(9999)],
        }
    ),
    "a script of quotes that do not end": lambda: a_pod({"args": ["--save \"--save '" * 60_000]}),
    "a script of spaces": lambda: a_pod({"args": ["--save" + " " * MEBIBYTE + ";"]}),
}


VOLUMES = {
    "thousands of containers that mount the emptyDir": lambda: a_pod(
        annotations={**_SIZE, _KEY + "checkpoint-volume": "v"},
        volumes=[{"name": "v", "emptyDir": {}}],
        containers=[{"name": f"c{i}", "volumeMounts": [{"name": "v", "mountPath": "/c"}]} for i in range(12_000)],
    ),
    "a volume by a path of a megabyte, and containers": lambda: a_pod(
        annotations={**_SIZE, _KEY + "checkpoint-volume": "/" + "a/" * 400_000},
        containers=[{"name": f"c{i}", "volumeMounts": [{"name": "v", "mountPath": f"/a/{i}"}]} for i in range(6000)],
    ),
    "a volume by a path of two megabytes, and as many containers as are looked at": lambda: a_pod(
        annotations={**_SIZE, _KEY + "checkpoint-volume": "/" + "a/" * MEBIBYTE},
        containers=[{"volumeMounts": [{"name": "v", "mountPath": f"/a/{i}"}]} for i in range(8192)],
    ),
    "as many claims as mounts": lambda: a_pod(
        {"volumeMounts": [{"name": f"v{i}", "mountPath": f"/m{i}"} for i in range(9999)]},
        volumes=[{"name": f"v{i}", "persistentVolumeClaim": {"claimName": f"c{i}"}} for i in range(9999)],
    ),
    "as many claims of its own as there are classes": lambda: a_pod(
        volumes=[{"name": f"v{i}", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}} for i in range(9999)],
    ),
}
_CLASSES = {f"s{i}": {"metadata": {"name": f"s{i}"}} for i in range(500)}
_NOT_FOUND = tuple(Missing(f"PersistentVolumeClaim n/c{i}", MissingReason.NOT_FOUND) for i in range(9999))


@pytest.mark.parametrize("name", VOLUMES)
def test_no_volume_takes_long(name):
    check(VOLUMES[name](), Facts(storage_classes=_CLASSES, missing=_NOT_FOUND), Config())


def test_of_containers_that_may_upload_three_are_named():
    decision = decide_pod(VOLUMES["thousands of containers that mount the emptyDir"](), Facts(), Config(), "n")
    assert any("container c1 or c2 or c3 or one of 11996 more" in note for note in decision.notes)


def affinity(label: str, values: list[str], terms: int = 1) -> dict[str, Any]:
    term = {"matchExpressions": [{"key": label, "operator": "In", "values": values}]}
    required = {"nodeSelectorTerms": [term] * terms}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def askers(count: int, resource: str = "nvidia.com/gpu", amount: str = "1") -> list[dict[str, Any]]:
    return [{"name": f"c{i}", "resources": {"limits": {resource.format(i): amount}}} for i in range(count)]


_PRODUCT = "nvidia.com/gpu.product"
ACCELERATORS = {
    "containers and products of which none is known": lambda: a_pod(
        annotations={},
        containers=askers(6000),
        affinity=affinity("amd.com/gpu.product-name", [f"v{i}" for i in range(40_000)]),
    ),
    "containers and known products": lambda: a_pod(
        annotations={},
        containers=askers(6000),
        affinity=affinity(_PRODUCT, [f"NVIDIA-A100-{i}" for i in range(30_000)]),
    ),
    "resources and as many values as count": lambda: a_pod(
        annotations={},
        containers=askers(9999, "huawei.com/Ascend{}"),
        affinity=affinity(_PRODUCT, [f"NVIDIA-A100-{i}" for i in range(32)]),
    ),
    "terms of an affinity": lambda: a_pod(
        annotations={}, containers=askers(32, "huawei.com/Ascend{}"), affinity=affinity(_PRODUCT, ["A100"], 20_000)
    ),
    "huge numbers": lambda: a_pod(annotations={}, containers=askers(9999, "nvidia.com/gpu", "9" * 20 + "e99")),
    "a number of a megabyte": lambda: a_pod(annotations={}, containers=askers(1, "nvidia.com/gpu", "9" * MEBIBYTE)),
    "a resource of a megabyte": lambda: a_pod(
        annotations={}, containers=askers(1, "nvidia.com/mig-" + "9gb." * 250_000)
    ),
    "a product of a megabyte": lambda: a_pod(
        annotations={}, containers=askers(1), nodeSelector={_PRODUCT: "A100-" * 200_000}
    ),
    "values of labels that the configuration names": lambda: a_pod(
        affinity=affinity("cloud.google.com/gke-spot", [*map(str, range(100_000)), "true"])
    ),
}


@pytest.mark.parametrize("name", ACCELERATORS)
@pytest.mark.parametrize("config", [_ESTIMATE, _CAPS], ids=["estimate", "caps"])
def test_no_accelerator_takes_long(name, config):
    check(ACCELERATORS[name](), Facts(accelerator_memory_mib=_NODES), config)


def test_of_many_products_three_are_named_and_beyond_32_none_is_known():
    few, many = ([f"NVIDIA-A100-{i:02}" for i in range(count)] for count in (32, 33))
    pods = [
        a_pod(annotations={}, containers=askers(2), affinity=affinity(_PRODUCT, products)) for products in (few, many)
    ]
    decisions = [check(pod, Facts(), _ESTIMATE) for pod in pods]
    assert "2 nvidia.com/gpu x 80 GiB (NVIDIA-A100-00, NVIDIA-A100-01, NVIDIA-A100-02, and 29 more)" in str(
        decisions[0].terms
    )
    assert decisions[1].outcome == "size-unknown"


def test_claims_beyond_256_count_as_one_that_is_not_known():
    claims = [
        {"name": f"v{i}", "ephemeral": {"volumeClaimTemplate": {"spec": {"storageClassName": "fast"}}}}
        for i in range(257)
    ]
    fast = {"metadata": {"name": "fast", "annotations": {_KEY + "write-throughput": "10GB/s"}}}
    facts = Facts(storage_classes={"fast": fast})
    sources = [
        next(
            term.source
            for term in check(a_pod(volumes=claims[:count]), facts, Config()).terms
            if term.name == "write-throughput"
        )
        for count in (256, 257)
    ]
    assert sources[0].startswith("StorageClass fast")
    assert sources[1].startswith("default")


SCRIPTS = {
    "line feeds": "a" + "\n" * MEBIBYTE + "b",
    "separators": "a;" + "; " * (MEBIBYTE // 2),
    "exec of nothing": "a;" + "; exec" * (MEBIBYTE // 6),
    "other spaces": "a;" + "\r\v\f" * (MEBIBYTE // 3),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_takes_long(name):
    assert any(
        "drops SIGTERM" in note
        for note in check(a_pod({"command": ["sh", "-c", SCRIPTS[name]]}), Facts(), Config()).notes
    )


def many(prefix: str, text: str = "x", count: int = 20_000) -> dict[str, Any]:
    return {f"{prefix}{i}": text for i in range(count)}


def nested(depth: int) -> Any:
    value: Any = "x"
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


def with_metadata(pod: Pod, **metadata: Any) -> Pod:
    return {**pod, "metadata": {**pod["metadata"], **metadata}}


_LONG = "y" * MEBIBYTE
_OLD_TORCH = {"image": "pytorch:1.9", "command": ["torchrun"], "lifecycle": {"preStop": {"exec": {"command": ["x"]}}}}
KEYS = {
    "unknown annotations": lambda: a_pod(annotations=many(_KEY + "chekpoint-siz", count=30_000)),
    "unknown labels": lambda: with_metadata(a_pod(), labels=many(_KEY + "chekpoint-siz", count=30_000)),
    "unknown variables": lambda: a_pod({"env": environment(**many("GRACEKEEPER_CHEKPOINT_SIZ", count=20_000))}),
    "unknown keys that are long": lambda: a_pod(annotations=many(_KEY + "checkpoint-size" * 1000, count=60)),
    "an unknown variable of a megabyte": lambda: a_pod(
        {"env": environment(**{"GRACEKEEPER_" + "CHECKPOINT_SIZE_" * 60_000: "1"})}
    ),
    "values of a megabyte": lambda: a_pod(
        annotations={_KEY + "checkpoint-size": "9" * MEBIBYTE, _KEY + "write-throughput": "/s" * 9**6}
    ),
    "values that are none": lambda: a_pod(
        annotations={**_SIZE, _KEY + "step-seconds": nested(200), "other": nested(200)}
    ),
    "a volume of a megabyte": lambda: a_pod(annotations={**_SIZE, _KEY + "checkpoint-volume": _LONG}),
    "values that are escaped in JSON": lambda: a_pod(annotations=many(_KEY + "\x01" * 60, "\x01" * 60, count=5000)),
    "values and terms that are escaped in JSON": lambda: a_pod(
        {
            "name": "\x01" * 90,
            "env": environment(
                GRACEKEEPER_CHECKPOINT_SIZE="10Gi",
                GRACEKEEPER_STEP_SECONDS="9",
                GRACEKEEPER_CHECKPOINT_WRITERS="2",
                GRACEKEEPER_WRITE_THROUGHPUT="1GB/s",
                GRACEKEEPER_UPLOAD_SIZE="1GB",
                GRACEKEEPER_UPLOAD_THROUGHPUT="1GB/s",
                **many("GRACEKEEPER_" + "\x01" * 60, "\x01" * 60, 5000),
            ),
        },
        annotations={},
    ),
}
SIZES = {
    "labels": lambda: with_metadata(a_pod(), labels={"training.kubeflow.org/job-name": "j", **many("l")}),
    "a label of training of a megabyte": lambda: with_metadata(a_pod(annotations={}), labels={"ray.io/" + _LONG: "x"}),
    "a label of serving of a megabyte": lambda: with_metadata(
        a_pod(annotations={}), labels={"serving.kserve.io/" + _LONG: "x"}
    ),
    "a kind of a megabyte": lambda: with_metadata(
        a_pod(), ownerReferences=[{"kind": "Notebook" + _LONG, "apiVersion": "a/v1"}]
    ),
    "annotations": lambda: a_pod(annotations=_SIZE | many("a")),
    "owners": lambda: with_metadata(
        a_pod(), ownerReferences=[{"apiVersion": "a/v1", "kind": f"K{i}"} for i in range(20_000)]
    ),
    "a Job of a megabyte": lambda: with_metadata(
        a_pod(
            annotations={**_SIZE, _KEY + "checkpoint-writers": "all", "batch.kubernetes.io/job-completion-index": "0"}
        ),
        ownerReferences=[{"apiVersion": "batch/v1", "kind": "Job", "name": _LONG, "controller": True}],
    ),
    "variables": lambda: a_pod(
        {"env": environment(**many("PET_")) + environment(TORCH_ELASTIC_SHUTDOWN_TIMEOUT="1") * 20_000}
    ),
    "a variable of a megabyte": lambda: a_pod(
        {"env": environment(TORCH_ELASTIC_SHUTDOWN_TIMEOUT="1" * MEBIBYTE, **{"PET_" + _LONG: "1"})}, annotations={}
    ),
    "Argo's variables": lambda: a_pod({"env": environment(ARGO_TERMINATION_GRACE_PERIOD_SECONDS="1") * 20_000}),
    "containers": lambda: a_pod(containers=[{"name": f"c{i}"} for i in range(MOST_CONTAINERS)]),
    "containers with notes": lambda: a_pod(containers=[{"name": f"c{i}", **_OLD_TORCH} for i in range(6000)]),
    "init containers": lambda: a_pod(
        {"command": ["sh", "-c", "a; b"]},
        annotations={**_SIZE, _KEY + "forward-sigterm": "true"},
        initContainers=[{"name": f"c{i}", "restartPolicy": "Always"} for i in range(MOST_CONTAINERS)],
    ),
    "a container of a megabyte": lambda: a_pod({"name": _LONG, **_OLD_TORCH}),
    "an image of a megabyte": lambda: a_pod({"image": "/pytorch:1." * 90_000, "command": ["torchrun"]}),
    "words": lambda: a_pod({"args": ["torchru", "--save"] * 50_000}),
    "volumes": lambda: a_pod(volumes=[{"name": f"v{i}", "emptyDir": {}} for i in range(30_000)]),
    "a volume that is named by a megabyte": lambda: a_pod(
        {"volumeMounts": [{"name": _LONG, "mountPath": "/c"}], "args": ["--save=/c"]},
        volumes=[{"name": _LONG, "emptyDir": {}}],
    ),
    "a grace of 2^62": lambda: a_pod(terminationGracePeriodSeconds=2**62),
    "a grace of 2^62, and as much for preStop": lambda: a_pod(
        {"lifecycle": {"preStop": {"sleep": {"seconds": 2**62}}}}, terminationGracePeriodSeconds=2**62
    ),
    "a negative grace": lambda: a_pod(terminationGracePeriodSeconds=-(2**62)),
    "nesting": lambda: a_pod(
        {"lifecycle": {"postStart": nested(200)}}, affinity={"podAffinity": nested(200)}, x=nested(200)
    ),
    "an OSMO task": lambda: with_metadata(
        a_pod(
            containers=[
                {"name": "u", "command": ["/osmo/bin/osmo_exec", *["-checkpoint"] * 20_000]},
                {"name": "osmo-ctrl", "command": ["/osmo/bin/osmo_ctrl"], "args": ["-outputs"] * 20_000},
                *({"name": f"c{i}"} for i in range(10_000)),
            ]
        ),
        labels={"osmo.task_uuid": "t", "osmo.workflow_uuid": "w"},
    ),
}


@pytest.mark.parametrize("name", KEYS)
def test_no_key_takes_long(name):
    decision = check(KEYS[name](), Facts(), Config())
    assert decision.outcome == "patched"
    assert len(decision.ignored) <= 32


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("config", [Config(), _ESTIMATE], ids=["default", "estimate"])
def test_nothing_that_is_many_or_long_takes_long(name, config):
    late = Missing(f"Job n/{_LONG}", MissingReason.DEADLINE)
    decision = check(SIZES[name](), Facts(missing=(*_NOT_FOUND, late)), config)
    assert len(repr((decision.because, decision.trainer, decision.notes, decision.missing, decision.ignored))) < 64_000


def test_of_many_ignored_values_32_are_told_the_first_16_with_what_may_be_meant_and_the_others_counted():
    decision = decide_pod(KEYS["unknown variables"](), Facts(), Config(), "n")
    story = json.loads(decision.annotation or "")
    assert [str(passed) for passed in decision.ignored] == story["ignored"]
    assert [passed.why for passed in decision.ignored] == [
        *["no such key, meant checkpoint-size?"] * 16,
        *["no such key"] * 16,
    ]
    assert "19968 more values were ignored" in story["notes"]
    assert "gracekeeper: and 22 more" in warnings(decision)
    assert "gracekeeper: 19968 more values were ignored" in warnings(decision)


def test_of_many_missing_objects_32_are_told_and_the_worst_reason_of_the_others():
    late = Missing("StorageClass s", MissingReason.DEADLINE)
    decision = decide_pod(a_pod(), Facts(missing=(*_NOT_FOUND, late)), Config(), "n")
    assert str(decision.missing[-1]) == "9968 more objects: deadline"
    assert warnings(decision) == ("gracekeeper: decided without 9968 more objects: deadline",)


def test_where_all_the_words_are_too_many_few_are_written_and_the_grace_is_kept():
    decision = check(KEYS["values and terms that are escaped in JSON"](), Facts(), Config())
    story = json.loads(decision.annotation or "")
    assert len(story["ignored"]) == 4
    assert story["ignored"][-1] == "and 29 more"
    assert story["grace"] == decision.grace_seconds


def test_a_path_that_is_too_long_once_its_variables_are_expanded_names_no_volume():
    pod = PATHS["a variable that a path names 4000 times"]()
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/xxx"}]
    pod["spec"]["volumes"] = [{"name": "v", "emptyDir": {}}]
    assert not any("/xxx" in note for note in decide_pod(pod, Facts(), Config(), "n").notes)


@pytest.mark.parametrize("name", PATHS)
def test_no_path_takes_long(name):
    assert check(PATHS[name](), Facts(), Config()).grace_seconds == 280


def test_a_quoted_path_is_short():
    decision = check(a_pod({"env": environment(CHECKPOINT_DIR="/" + "a" * 4000)}), Facts(), Config())
    assert f"CHECKPOINT_DIR /{'a' * 196}..." in (decision.annotation or "")
