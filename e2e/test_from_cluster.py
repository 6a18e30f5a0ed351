"""`gracekeeper mutate --from-cluster` on a real cluster: what exists, what a new configuration would give, nothing changed."""

import json
import os
import sys

import pytest
import yaml

from e2e import pods
from tools import training_pod
from tools.cluster.settings import ROOT
from tools.cluster.steps import run
from tools.kube import eventually

CLASS = "e2e-from-cluster"


@pytest.fixture
def storage_class(kube):
    kube.apply(pods.storage_class(CLASS, "ebs.csi.aws.com", type="gp3", throughput="500"))
    yield
    kube("delete", "storageclass", CLASS)


@pytest.mark.usefixtures("release", "storage_class")
def test_workloads_are_shown_with_their_grace_of_today_and_of_a_new_configuration(kube, namespace, tmp_path):
    template = pods.a_pod(annotations={"checkpoint-size": "9.2GB"}, claim="ckpt")
    metadata = {"annotations": template["metadata"]["annotations"]}
    spec = {"template": {"metadata": metadata, "spec": {**template["spec"], "restartPolicy": "Never"}}}
    kube.apply(
        training_pod.a_claim("ckpt", namespace, CLASS),
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "train", "namespace": namespace},
            "spec": {**spec, "completions": 2, "parallelism": 2},
        },
    )
    eventually(lambda: len(kube.get("pods", namespace=namespace)["items"]) == 2, "the Job's pods")
    kube.create_pod(namespace, pods.a_pod("other"))
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"defaults": {"safety": 4}}))
    before = versions(kube, namespace)

    def report(*options: str) -> str:
        command = [sys.executable, "-m", "webhook", "mutate", "--from-cluster", "-n", namespace, "--config", config]
        environment = {**os.environ, "KUBECONFIG": str(kube.kubeconfig)}
        return run([*command, *options], environment=environment, directory=ROOT, timeout_seconds=60)

    table = report().splitlines()
    [row] = [line.split() for line in table if line.strip().startswith(namespace)]
    assert row[:8] == [namespace, "Job", "train", "2", "111", "s", "206", "s"]
    assert "workloads that train: 1, left alone: 1" in table
    [workload] = [each for each in json.loads(report("-o", "json")) if each["name"] == "train"]
    assert (workload["todaySeconds"], workload["tomorrowSeconds"]) == (111, 206)
    assert versions(kube, namespace) == before


def versions(kube, namespace: str) -> dict[str, str]:
    """Changes whenever one of the pods does."""
    pods = kube.get("pods", namespace=namespace)["items"]
    return {pod["metadata"]["name"]: pod["metadata"]["resourceVersion"] for pod in pods}
