"""A Job's pods that are refused, or wait, because of supervise soon run without it: no pod stays worse off."""

import json
from collections.abc import Iterator
from functools import partial

import pytest

from e2e import pods
from e2e.behind_a_shell import OVER_SECONDS, a_trainer, dry_run, is_wrapped
from e2e.refused_images import images_refused, refuses
from tools.cluster.steps import run
from tools.kube import Json, Kube, eventually
from tools.release import Release
from webhook.policy.observed.wrapping_stops import WAIT_SECONDS
from webhook.policy.prefix import WORKLOAD_LABELS

CREATED_SECONDS = 60
"""From the first refusal to a pod: two of them, a write, a watch, and the Job's next attempt, by when it waits for 8 s."""
GRACE_SECONDS_WITH = 40

pytestmark = [pytest.mark.release, pytest.mark.usefixtures("release")]


@pytest.fixture
def observed(release) -> Iterator[Release]:
    """The release with its observer."""
    release.upgrade("--set=observer.enabled=true")
    try:
        yield release
    finally:
        release.upgrade()


@pytest.mark.usefixtures("observed")
def test_given_a_policy_of_a_namespace_that_refuses_the_image_then_a_jobs_pods_soon_come_to_be_as_their_owner_wrote_them(
    kube, namespace, trainer_image
):
    wrapped = a_trainer("dry", trainer_image, wrapped=True)
    with images_refused(kube, namespaceSelector={"matchLabels": {"kubernetes.io/metadata.name": namespace}}):
        eventually(lambda: refuses(kube, namespace, wrapped), "a policy that is in force")
        kube.apply(a_job(namespace, trainer_image))
        pod = eventually(lambda: pod_of_job(kube, namespace), "a pod that is created", CREATED_SECONDS)
        assert not is_wrapped(pod)
        assert pod["spec"]["containers"][0]["command"] == wrapped["spec"]["containers"][0]["command"]
        assert pods.grace_seconds(pod) == GRACE_SECONDS_WITH
        assert not {*pod["metadata"]["labels"]} & {*WORKLOAD_LABELS}
        assert "stopped here, as pods were refused" in str(pods.decision(pod))
        eventually(lambda: "training" in logs(kube, namespace, pod), "the trainer runs", OVER_SECONDS)
    assert "WrappingStopped" in reasons_of_job(kube, namespace)
    assert is_wrapped(dry_run(kube, "default", wrapped)), "another namespace lost its wrapping"


@pytest.mark.usefixtures("observed")
def test_given_a_policy_that_refuses_the_pod_whatever_gracekeeper_does_then_wrapping_goes_on(
    kube, namespace, trainer_image
):
    wrapped = a_trainer("dry", trainer_image, wrapped=True)
    where = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    with images_refused(kube, trainer_image, namespaceSelector=where):
        eventually(lambda: refuses(kube, namespace, wrapped), "a policy that is in force")
        kube.apply(a_job(namespace, trainer_image))
        eventually(lambda: "WrappingStopped" in reasons_of_job(kube, namespace), "a stop")
        eventually(lambda: "WrappingResumed" in reasons_of_job(kube, namespace), "wrapping goes on", OVER_SECONDS)
    assert is_wrapped(eventually(lambda: pod_of_job(kube, namespace), "a pod without the policy", OVER_SECONDS))


def test_given_a_node_that_cannot_pull_the_image_when_a_pod_waits_there_then_the_next_pod_of_the_job_starts_without(
    kube, cluster, namespace, trainer_image, observed
):
    remove = ("ctr", "--namespace=k8s.io", "images", "rm", f"docker.io/{observed.supervise_image}")
    run(["docker", "exec", cluster.worker, *remove])
    try:
        kube.apply(a_job(namespace, trainer_image, cluster.worker))
        waits = eventually(lambda: pod_of_job(kube, namespace), "a pod")
        assert is_wrapped(waits)
        stops = partial(reasons_of_job, kube, namespace)
        eventually(lambda: "WrappingStopped" in stops(), "a stop", WAIT_SECONDS + OVER_SECONDS)
        kube("delete", "pod", waits["metadata"]["name"], f"-n{namespace}")
        pod = eventually(lambda: pod_of_job(kube, namespace), "the next pod", OVER_SECONDS)
        assert pods.is_patched(pod)
        assert not is_wrapped(pod)
        assert "stopped here, as pods wait for supervise's image" in str(pods.decision(pod))
        eventually(lambda: "training" in logs(kube, namespace, pod), "the trainer runs", OVER_SECONDS)
    finally:
        cluster.load(observed.supervise_image)


def a_job(namespace: str, image: str, node: str = "") -> Json:
    """A Job whose pods want SIGTERM for a trainer behind a shell, on any node or on one."""
    pod = a_trainer("train", image, wrapped=True)
    spec = pod["spec"] | ({"nodeSelector": {"kubernetes.io/hostname": node}} if node else {})
    template = {"metadata": {"annotations": pod["metadata"]["annotations"]}, "spec": spec}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "train", "namespace": namespace},
        "spec": {"backoffLimit": 6, "template": template},
    }


def pod_of_job(kube: Kube, namespace: str) -> Json | None:
    """The newest pod of the Job that is not being deleted."""
    made = kube.get("pods", namespace=namespace, selector="job-name=train")["items"]
    return next((pod for pod in made if "deletionTimestamp" not in pod["metadata"]), None)


def reasons_of_job(kube: Kube, namespace: str) -> set[str]:
    events = kube("get", "events", f"-n{namespace}", "--field-selector=involvedObject.kind=Job", "-ojson")
    return {event["reason"] for event in json.loads(events)["items"]}


def logs(kube: Kube, namespace: str, pod: Json) -> str:
    return kube("logs", pod["metadata"]["name"], f"-n{namespace}", "-ctrainer")
