"""With an API server that is away, or a right that is missing, pods are still decided, and what is missing is named."""

import base64
import copy
import json
import time
from contextlib import contextmanager

import jsonpatch
import pytest

from e2e import pods
from e2e.replica import Replica
from tools import training_pod
from tools.cluster.steps import attempt, run
from tools.kube import eventually

SIZE = {"checkpoint-size": "9.2GB"}
CLASS = "e2e-lost"
AT_500_MIB_SECONDS, AT_DEFAULT_SECONDS = 111, 251
"""ceil((30 + 9.2e9 / (500 * 2**20)) * 2 + 15), and with 100 MiB/s."""
KNOWN_AGAIN_SECONDS = 10
REPLICAS = 2


pytestmark = pytest.mark.usefixtures("release")


@pytest.fixture(scope="module", autouse=True)
def gp3(kube):
    kube.apply(pods.storage_class(CLASS, "ebs.csi.aws.com", type="gp3", throughput="500"))
    yield
    kube("delete", "storageclass", CLASS)


@contextmanager
def api_server_away(kube, control_plane: str):
    """It crashes, and its static pod is not there to start it again until the end.

    One that is stopped in order takes its address out of the Service first, and then kube-proxy's own return counts.
    """
    manifest, aside = "/etc/kubernetes/manifests/kube-apiserver.yaml", "/etc/kubernetes/kube-apiserver.aside"

    def on_control_plane(script: str) -> None:
        run(["docker", "exec", control_plane, "sh", "-c", script])

    def answers() -> bool:
        return attempt(kube.command("get", "--raw=/readyz")).returncode == 0

    on_control_plane(f"mv {manifest} {aside} && kill -9 $(pidof kube-apiserver)")
    try:
        eventually(lambda: not answers(), "the API server has ended")
        yield
    finally:
        on_control_plane(f"mv {aside} {manifest}")
        eventually(answers, "the API server is ready again", 120)


@contextmanager
def without_right_to(kube, release, resource: str):
    """The ClusterRole of gracekeeper, short of one resource."""
    name = release.webhook_configuration["metadata"]["name"]

    def replace(rules) -> None:
        kube("replace", "-f", "-", text=json.dumps({**kube.get("clusterrole", name), "rules": rules}))

    rules = kube.get("clusterrole", name)["rules"]
    replace([{**rule, "resources": [other for other in rule["resources"] if other != resource]} for rule in rules])
    try:
        yield
    finally:
        replace(rules)


def known_again(kube, namespace: str, pod) -> None:
    """Within 10 s pods get the number that the whole chain gives."""

    def whole():
        created = kube.create_pod(namespace, pod)
        return pods.grace_seconds(created) == AT_500_MIB_SECONDS and not pods.missing(created)

    eventually(whole, "everything is known again", KNOWN_AGAIN_SECONDS)


def patched(pod, answer):
    """The pod after a replica's answer; an assertion where it has no patch."""
    assert answer["allowed"] is True
    return jsonpatch.apply_patch(copy.deepcopy(pod), json.loads(base64.b64decode(answer["patch"])))


def counted(metrics, reason: str) -> float:
    number: float = metrics[f'gracekeeper_facts_missing_total{{reason="{reason}"}}']
    return number


def ages_seconds(metrics) -> list[float]:
    """How long ago each watched kind was heard of."""
    return [age for series, age in metrics.items() if series.startswith("gracekeeper_watch_age_seconds{")]


def with_an_ephemeral_volume():
    """A pod whose claim is to be made from its own template."""
    pod = pods.a_pod("train", annotations=SIZE, claim="none")
    claim = training_pod.a_claim("none", "none", CLASS)["spec"]
    pod["spec"]["volumes"] = [{"name": "checkpoints", "ephemeral": {"volumeClaimTemplate": {"spec": claim}}}]
    return pod


def test_while_the_api_server_is_away_pods_are_decided_from_what_is_known_and_the_rest_is_named(
    kube, cluster, namespace, release
):
    kube.apply(training_pod.a_claim("ckpt", namespace, CLASS))
    eventually(lambda: len(release.pods()) == REPLICAS, "the pods of an earlier rollout are gone")
    replicas = [Replica.of(pod) for pod in release.pods()]
    replica = replicas[0]
    before = counted(replica.metrics(), "error")
    needs_the_claim, needs_the_class = pods.a_pod(annotations=SIZE, claim="ckpt"), with_an_ephemeral_volume()
    with api_server_away(kube, cluster.control_plane):
        gone = time.monotonic()
        without_claim = patched(needs_the_claim, replica.review(namespace, needs_the_claim))
        with_class = patched(needs_the_class, replica.review(namespace, needs_the_class))
        after = counted(replica.metrics(), "error")
    assert pods.missing(without_claim) == [f"PersistentVolumeClaim {namespace}/ckpt: error"]
    assert pods.grace_seconds(without_claim) == AT_DEFAULT_SECONDS
    assert pods.grace_seconds(with_class) == AT_500_MIB_SECONDS
    assert after == before + 1  # the claim of an ephemeral volume is not looked up
    known_again(kube, namespace, needs_the_claim)

    def watched_again() -> bool:
        return all(max(ages_seconds(each.metrics())) < time.monotonic() - gone for each in replicas)

    eventually(watched_again, "every kind is watched again", KNOWN_AGAIN_SECONDS)


def test_a_kind_that_may_not_be_watched_is_named_and_counted_and_found_again_when_it_may(kube, namespace, release):
    """Both replicas begin without the right, so that nothing is remembered."""
    pod = pods.a_pod(annotations=SIZE, claim="ckpt")
    kube.apply(training_pod.a_claim("ckpt", namespace, CLASS))

    def logged(event: str) -> int:
        logs = kube("logs", f"-n{release.namespace}", "-lapp.kubernetes.io/component=webhook", "--tail=-1")
        return sum(event in line and "StorageClass" in line for line in logs.splitlines())

    with without_right_to(kube, release, "storageclasses"):
        release.scale(0)
        release.scale(REPLICAS)
        created = kube.create_pod(namespace, pod)
        assert pods.missing(created) == [f"StorageClass {CLASS}: forbidden"]
        assert pods.grace_seconds(created) == AT_DEFAULT_SECONDS
        assert counted(release.metrics(), "forbidden") == 1
        assert logged("not watching") == REPLICAS
    known_again(kube, namespace, pod)
    eventually(lambda: logged("watching again") == REPLICAS, "both replicas watch again", KNOWN_AGAIN_SECONDS)


def test_a_kind_that_may_not_be_read_is_named_and_counted_and_found_again_when_it_may(kube, namespace, release):
    pod = pods.a_pod(annotations=SIZE, claim="ckpt")
    kube.apply(training_pod.a_claim("ckpt", namespace, CLASS))
    before = counted(release.metrics(), "forbidden")
    with without_right_to(kube, release, "persistentvolumeclaims"):
        created = eventually(
            lambda: pods.missing(created := kube.create_pod(namespace, pod)) and created, "the right is gone"
        )
        assert pods.missing(created) == [f"PersistentVolumeClaim {namespace}/ckpt: forbidden"]
        assert pods.grace_seconds(created) == AT_DEFAULT_SECONDS
        assert counted(release.metrics(), "forbidden") == before + 1
    known_again(kube, namespace, pod)
