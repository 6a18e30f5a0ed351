"""A created pod gets the grace that its checkpoint needs; what is none of ours is left alone."""

import re

import pytest
import yaml

from e2e import pods
from tools import training_pod
from tools.cluster.steps import attempt
from tools.kube import eventually
from webhook.policy.prefix import DECISION_ANNOTATION

EXCLUSIONS = re.compile(r"^apiserver_admission_match_condition_exclusions_total\{(.*)\} ([0-9.e+]+)$", re.MULTILINE)
NEEDED = {"checkpoint-size": "9.2GB"}
OF_GP3_SECONDS = 216
"""ceil((30 + 9.2e9 / (125 * 2**20)) * 2 + 15)."""
OF_DEFAULT_SECONDS = 251
"""ceil((30 + 9.2e9 / (100 * 2**20)) * 2 + 15)."""


pytestmark = [pytest.mark.core, pytest.mark.usefixtures("release")]


@pytest.fixture(scope="module", autouse=True)
def gp3(kube):
    kube.apply(pods.storage_class("e2e-gp3", "ebs.csi.aws.com", type="gp3", throughput="125"))
    yield
    kube("delete", "storageclass", "e2e-gp3")


def template_of(pod, **labels: str):
    """A pod as a controller's template."""
    metadata = {"annotations": pod["metadata"]["annotations"], "labels": labels}
    return {"metadata": metadata, "spec": {**pod["spec"], "restartPolicy": "Never"}}


def excluded_calls(kube) -> float:
    """How often the API server found by its match conditions that gracekeeper need not be asked."""
    counts = EXCLUSIONS.findall(kube("get", "--raw", "/metrics"))
    return sum(float(count) for labels, count in counts if "gracekeeper.dev" in labels)


def test_a_pod_on_gp3_gets_what_the_formula_gives(kube, namespace):
    kube.apply(training_pod.a_claim("ckpt", namespace, "e2e-gp3"))
    pod = pods.a_pod("train", annotations=NEEDED, claim="ckpt", command=("torchrun", "train.py"))
    kube("create", "-f", "-", f"-n{namespace}", text=yaml.safe_dump(pod))
    created = kube.get("pod", "train", namespace)
    assert pods.grace_seconds(created) == OF_GP3_SECONDS
    decision = created["metadata"]["annotations"][DECISION_ANNOTATION]
    assert '"write-throughput": "125 MiB/s (StorageClass e2e-gp3' in decision
    variables = {entry["name"]: entry["value"] for entry in created["spec"]["containers"][0]["env"]}
    assert variables["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] == str(OF_GP3_SECONDS - 5)


def test_a_claim_that_does_not_exist_yet_is_named(kube, namespace):
    created = kube.create_pod(namespace, pods.a_pod(annotations=NEEDED, claim="later"))
    assert pods.grace_seconds(created) == OF_DEFAULT_SECONDS
    assert (
        f"PersistentVolumeClaim {namespace}/later: not-found" in created["metadata"]["annotations"][DECISION_ANNOTATION]
    )


def test_a_deployment_s_pod_is_untouched_and_not_even_asked_about(kube, namespace):
    before = excluded_calls(kube)
    metadata = {"name": "web", "namespace": namespace}
    labels = {"app": "web"}
    spec = {"selector": {"matchLabels": labels}, "template": template_of(pods.a_pod(), **labels)}
    del spec["template"]["spec"]["restartPolicy"]
    kube.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
    [created] = eventually(lambda: kube.get("pods", namespace=namespace, selector="app=web")["items"], "its pod")
    assert pods.grace_seconds(created) == 30
    assert not pods.is_patched(created)
    assert excluded_calls(kube) > before


def test_a_pod_in_an_excluded_namespace_is_untouched(kube):
    kube.make_namespace("left-alone")
    created = kube.create_pod("left-alone", pods.a_pod(annotations=NEEDED))
    assert pods.grace_seconds(created) == 30
    assert not pods.is_patched(created)
    kube.remove_namespaces("left-alone")


def test_a_namespace_can_opt_out_and_opt_in_by_its_label(kube, namespace):
    unmarked = pods.a_pod()
    assert not pods.is_patched(kube.create_pod(namespace, unmarked))
    kube("label", "namespace", namespace, "gracekeeper.dev/enabled=true")
    kube("annotate", "namespace", namespace, "gracekeeper.dev/checkpoint-size=9.2GB")
    eventually(
        lambda: pods.grace_seconds(kube.create_pod(namespace, unmarked)) == OF_DEFAULT_SECONDS,
        "a pod without any mark gets the size that its Namespace states",
    )
    kube("label", "namespace", namespace, "gracekeeper.dev/enabled=false", "--overwrite")
    marked = pods.a_pod(annotations=NEEDED)
    eventually(lambda: not pods.is_patched(kube.create_pod(namespace, marked)), "no pod of it is patched any more")


def test_a_job_s_pod_is_patched(kube, namespace):
    template = template_of(pods.a_pod(annotations=NEEDED))
    metadata = {"name": "train", "namespace": namespace}
    kube.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template}})
    [created] = eventually(lambda: kube.get("pods", namespace=namespace, selector="job-name=train")["items"], "its pod")
    assert pods.grace_seconds(created) == OF_DEFAULT_SECONDS


def test_a_server_side_dry_run_shows_the_same(kube, namespace):
    pod = yaml.safe_dump(pods.a_pod("train", annotations=NEEDED))
    shown = kube("apply", "--dry-run=server", "-oyaml", "-f", "-", f"-n{namespace}", text=pod)
    assert pods.grace_seconds(yaml.safe_load(shown)) == OF_DEFAULT_SECONDS
    assert not kube.exists("pod", "train", namespace)


def test_a_value_that_cannot_be_read_is_a_warning_for_who_creates_the_pod(kube, namespace):
    pod = yaml.safe_dump(pods.a_pod("train", annotations={"checkpoint-size": "10Gbps"}))
    done = attempt(kube.command("create", "-f", "-", f"-n{namespace}"), text=pod)
    assert done.returncode == 0
    assert "Warning: gracekeeper" in done.stderr
    assert "checkpoint-size" in done.stderr
