"""OSMO's task pods while gracekeeper itself changes: upgraded, rolled back, uninstalled, without its supervise image."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from e2e.osmo.listener import Report
from e2e.osmo.play import play
from e2e.osmo.runs import BEFORE, CONTAINER, NATIVE, Stage, Together, converted
from e2e.osmo.scenarios import OVER_SECONDS, Scenario, task
from tools.cluster.steps import StepError
from tools.kube import eventually
from tools.release import CHART, Release

NAMESPACE = "osmo-second"
LABELS = {"e2e": "other", "release": "osmo-second"}
"""The first label keeps the tests' main release away."""
SELECTED = {"webhook": {"namespaceSelector": {"matchLabels": LABELS}}, "replicas": 1}
INTERRUPTED = {"config": {"osmo": {"interruptedCode": 143}}}
SAVED = "checkpoint.pth"
NO_IMAGE = ("ErrImagePull", "ImagePullBackOff")

pytestmark = pytest.mark.usefixtures("release")


@pytest.fixture(scope="module")
def stage(kube, cluster, stand_ins):
    with Stage(kube, NAMESPACE, stand_ins, cluster.nodes).open(LABELS) as stage:
        yield stage


@pytest.fixture
def second(kube, cluster, image, supervise_image):
    """Another release, for the namespace of these tests; uninstalled by then, or else now."""
    name = "osmo-second"
    release = Release(kube, cluster.tool("helm4"), name, f"{name}-release", image, supervise_image, SELECTED)
    yield release
    try:
        release.uninstall()
    except StepError as error:
        assert "not found" in str(error)  # noqa: PT017  # already uninstalled
    kube("delete", "namespace", f"{name}-release", "--ignore-not-found")


def test_given_running_tasks_when_gracekeeper_is_upgraded_rolled_back_and_uninstalled_then_they_end_as_ever(
    stage, second, cluster
):
    """With osmo.interruptedCode 143, which is what OSMO then reports."""
    second.upgrade(**INTERRUPTED)
    eventually_in_force(stage)

    def change() -> None:
        second.upgrade(podAnnotations={"e2e/upgrade": "1"}, **INTERRUPTED)
        second.run_helm(cluster.tool("helm4"), "rollback", second.name, "1", "--wait")
        second.uninstall()

    def drive(live) -> None:
        live.until("training")
        live.together.meet(change)
        live.delete()
        live.until_over(OVER_SECONDS)

    both = Together(2)
    with ThreadPoolExecutor(2) as pool:
        plays = [
            pool.submit(play, stage, f"while-it-changes-{mode}", mode, Scenario(drive, task()), both)
            for mode in (NATIVE, CONTAINER)
        ]
    for run in [future.result() for future in plays]:
        assert run.failure is None, run.story()
        assert converted(run.versions[0].pod) == run.mode, run.story()
        assert len(run.uploaded) == 3, run.story()
        assert all(SAVED in files for files in run.uploaded.values()), run.story()
        assert run.phase == "Failed", run.story()
        assert run.reported == Report("FAILED", 143), run.story()


def test_given_a_supervise_image_that_is_not_there_then_gracekeeper_is_not_ready_and_tasks_run_unconverted(
    stage, second
):
    """Pods are created as they are: nothing in them needs the image that is missing."""
    repository, _, tag = second.image.rpartition(":")
    values = {
        **SELECTED,
        "image": {"repository": repository, "tag": tag, "pullPolicy": "Never"},
        "supervise": {"image": {"registry": "registry.invalid", "tag": "none"}},
    }
    command = ["upgrade", "--install", second.name, CHART, "-f", "-", "--create-namespace"]
    second.run_helm(second.helm, *command, text=json.dumps(values))

    def is_refused() -> bool:
        statuses = [status for pod in second.pods() for status in pod["status"].get("initContainerStatuses", ())]
        return any(status["state"].get("waiting", {}).get("reason") in NO_IMAGE for status in statuses)

    eventually(is_refused, "the init container has no image")
    assert not any(is_ready(pod) for pod in second.pods())

    def drive(live) -> None:
        live.until("training")
        live.delete()
        live.until_over(OVER_SECONDS)

    run = play(stage, "without-an-image", NATIVE, Scenario(drive, task()))
    assert run.failure is None, run.story()
    assert converted(run.versions[0].pod) == BEFORE, run.story()
    assert run.reported == Report("FAILED", 2001), run.story()


def is_ready(pod) -> bool:
    conditions = pod["status"].get("conditions", ())
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def eventually_in_force(stage) -> None:
    """The API server has taken the new webhook configuration up."""

    def is_converted() -> bool:
        pod = stage.manifest("probe", NATIVE, "train", task())
        path = f"/api/v1/namespaces/{stage.namespace}/pods"
        made = stage.kube.api.post(path, pod, query={"dryRun": "All"}, timeout_seconds=30)
        return converted(made) == NATIVE

    eventually(is_converted, "the second release converts pods", 30)
