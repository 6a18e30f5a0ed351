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


@pytest.mark.parametrize("what", PATHS)
def test_no_path_takes_long(what):
    assert check(PATHS[what], Facts(), Config()).grace_seconds == 280


def test_a_quoted_path_is_short():
    decision = check(a_pod({"env": environment(CHECKPOINT_DIR="/" + "a" * 4000)}), Facts(), Config())
    assert f"CHECKPOINT_DIR /{'a' * 196}..." in (decision.annotation or "")
