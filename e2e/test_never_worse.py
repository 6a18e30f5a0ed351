"""No pod is worse off with gracekeeper: clusters that refuse what it adds, pods that share processes, an uninstallation.

A pod beside each that gracekeeper leaves alone shows what happens without.
"""

from collections.abc import Iterator

import pytest

from e2e import pods
from e2e.behind_a_shell import GRACE_SECONDS_WITHOUT, OVER_SECONDS, Ended, a_trainer, dry_run, is_wrapped
from e2e.refused_images import images_refused, refuses
from tools.cluster.steps import run
from tools.kube import Json, Kube, eventually
from tools.release import Release

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
OWN_RELEASE = {"e2e": "other"}
"""Labels of a namespace that the session's own release leaves to this file's."""
BOUNDS = {"min": {"cpu": "100m", "memory": "64Mi"}, "maxLimitRequestRatio": {"cpu": "1"}}
TOO_SMALL = {"max": {"cpu": "40m"}}
"""gracekeeper's container requests 50m."""
KINDS: dict[str, Json] = {
    "restricted": {},
    "bounded": {},
    "too-small": {"cpu": "20m"},
    "shared-processes": {"shareProcessNamespace": True},
    "host-processes": {"hostPID": True},
}
"""Each has a namespace of its own name, and pods with these fields."""

pytestmark = [pytest.mark.release, pytest.mark.usefixtures("release")]


@pytest.fixture(scope="module")
def ends(kube, trainer_image) -> Iterator[tuple[dict[str, Json], dict[str, tuple[int, str]]]]:
    """Every pod of KINDS as it was created, with and without gracekeeper, and its end; they wait side by side."""
    ended = Ended(kube)
    for kind in KINDS:
        kube.make_namespace(kind, RESTRICTED if kind == "restricted" else {})
    limits = (("bounded", BOUNDS), ("too-small", TOO_SMALL))
    kube.apply(*(a_limit_range(namespace, bounds) for namespace, bounds in limits))
    try:
        eventually(lambda: knows_the_bounds(kube, trainer_image), "the webhook knows the LimitRanges")
        created = {
            f"{kind}-{how}": ended.start(
                kind, a_trainer(f"{kind}-{how}", trainer_image, wrapped=how == "with", **KINDS[kind])
            )
            for kind in KINDS
            for how in ("with", "without")
        }
        ended.start("host-processes", a_trainer("bystander", trainer_image, wrapped=False, command=PLAIN))
        ended.wait_until_all_train()
        told = ended.end(*created)
        told["bystander"] = (0, kube("logs", "bystander", "-nhost-processes"))
        ended.end("bystander")
        yield created, told
    finally:
        ended.forget()
        kube.remove_namespaces(*KINDS)


PLAIN = ("python3", "-u", "/trainer.py")


def a_limit_range(namespace: str, bounds: Json) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "bounds", "namespace": namespace},
        "spec": {"limits": [{"type": "Container", **bounds}]},
    }


def knows_the_bounds(kube: Kube, image: str) -> bool:
    """Whether the webhook's own watch has the LimitRanges: the container that it adds is as large as `min` asks."""
    pod = dry_run(kube, "bounded", a_trainer("dry", image, wrapped=True))
    [added] = pod["spec"]["initContainers"]
    small = dry_run(kube, "too-small", a_trainer("dry", image, wrapped=True, **KINDS["too-small"]))
    return bool(added["resources"]["requests"]["cpu"] == "100m" and "initContainers" not in small["spec"])


@pytest.mark.parametrize("kind", ["restricted", "bounded", "shared-processes", "host-processes"])
def test_given_such_a_pod_when_it_is_deleted_then_it_saves_with_gracekeeper_and_not_without(ends, kind):
    created, told = ends
    assert is_wrapped(created[f"{kind}-with"])
    assert not pods.is_patched(created[f"{kind}-without"])
    code, message = told[f"{kind}-with"]
    assert code == 143
    assert "checkpoint" in message.split()
    code_without, message_without = told[f"{kind}-without"]
    assert code_without in {137, 143}
    assert "checkpoint" not in message_without.split()


def test_given_a_limit_range_that_refuses_what_is_added_then_the_pod_is_created_unwrapped_as_without(ends):
    created, told = ends
    assert pods.is_patched(created["too-small-with"])
    assert not is_wrapped(created["too-small-with"])
    assert "allows no container with so much cpu" in str(pods.decision(created["too-small-with"]))
    assert told["too-small-with"][1] == told["too-small-without"][1] == ""


def test_given_a_pod_that_sees_all_processes_of_its_node_when_it_is_told_then_no_other_pod_hears_of_it(ends):
    _, told = ends
    assert told["bystander"][1].split() == ["training"]


@pytest.fixture
def pre_pulled(kube, release) -> Iterator[Release]:
    """The release with its pre-pull ready; pods are wrapped unasked."""
    release.upgrade("--set=supervise.prePull.enabled=true")
    try:
        eventually(lambda: ready_nodes(kube, release) == (2, 2), "the pre-pull is ready on both nodes", OVER_SECONDS)
        yield release
    finally:
        release.upgrade()


def ready_nodes(kube: Kube, release: Release) -> tuple[int, int]:
    status = kube.get("daemonset", f"{release.name}-prepull", release.namespace)["status"]
    return status["numberReady"], status["desiredNumberScheduled"]


def unasked(image: str) -> Json:
    """A pod that says how large its checkpoint is, and nothing of the signal."""
    pod = a_trainer("unasked", image, wrapped=True, command=("sh", "-c", "python3 -c pass | cat; true"))
    pod["metadata"] = {"name": "unasked", "annotations": {"gracekeeper.dev/checkpoint-size": "1GB"}}
    return pod


def replace_pre_pull_pods(kube: Kube, release: Release, *options: str) -> None:
    selector = "-lapp.kubernetes.io/component=prepull"
    kube("delete", "pods", selector, f"-n{release.namespace}", *options, "--wait=false")


def test_given_one_node_that_cannot_have_the_image_then_pods_run_there_unwrapped(
    kube, cluster, namespace, trainer_image, pre_pulled
):
    supervise_image = pre_pulled.supervise_image
    eventually(lambda: is_wrapped(dry_run(kube, namespace, unasked(trainer_image))), "a pod that is wrapped")
    try:
        run(
            [
                "docker",
                "exec",
                cluster.worker,
                "ctr",
                "--namespace=k8s.io",
                "images",
                "rm",
                f"docker.io/{supervise_image}",
            ]
        )
        replace_pre_pull_pods(kube, pre_pulled, f"--field-selector=spec.nodeName={cluster.worker}")
        eventually(
            lambda: not is_wrapped(dry_run(kube, namespace, unasked(trainer_image))), "a pod that is not wrapped"
        )
        pod = unasked(trainer_image)
        pod["spec"]["nodeSelector"] = {"kubernetes.io/hostname": cluster.worker}
        created = kube.create_pod(namespace, pod)
        assert pods.is_patched(created)
        assert "forward-sigterm: auto: not wrapped, as" in str(pods.decision(created))
        eventually(lambda: phase(kube, namespace) == "Succeeded", "the pod runs without supervise")
    finally:
        cluster.load(supervise_image)
        replace_pre_pull_pods(kube, pre_pulled, f"--field-selector=spec.nodeName={cluster.worker}")


def phase(kube: Kube, namespace: str) -> str:
    return str(kube("get", "pod", "unasked", f"-n{namespace}", "-ojsonpath={.status.phase}"))


def test_given_a_policy_of_the_cluster_that_refuses_the_image_then_no_pod_is_wrapped_unasked_and_all_are_created(
    kube, namespace, trainer_image, pre_pulled
):
    eventually(lambda: is_wrapped(dry_run(kube, namespace, unasked(trainer_image))), "a pod that is wrapped")
    with images_refused(kube):
        eventually(lambda: refuses(kube, namespace, unasked(trainer_image)), "a policy that is in force")
        replace_pre_pull_pods(kube, pre_pulled)
        eventually(lambda: not refuses(kube, namespace, unasked(trainer_image)), "a pod that is created")
        created = kube.create_pod(namespace, unasked(trainer_image))
        assert pods.is_patched(created)
        assert not is_wrapped(created)


def test_given_wrapped_pods_that_run_when_gracekeeper_is_uninstalled_then_they_save_and_new_ones_are_as_before(
    kube, cluster, image, supervise_image, trainer_image
):
    values = {"webhook": {"namespaceSelector": {"matchLabels": OWN_RELEASE}}, "server": {"drainSeconds": 0}}
    leaving = Release(kube, cluster.tool("helm4"), "leaving", "leaving", image, supervise_image, values)
    ended = Ended(kube)
    kube.make_namespace("leaving", OWN_RELEASE)
    kube.make_namespace("left", OWN_RELEASE)
    try:
        leaving.upgrade()
        assert is_wrapped(ended.start("left", a_trainer("runs", trainer_image, wrapped=True)))
        ended.wait_until_all_train()
        leaving.uninstall()
        new = ended.start("left", a_trainer("new", trainer_image, wrapped=True))
        assert not pods.is_patched(new)
        assert new["spec"]["terminationGracePeriodSeconds"] == GRACE_SECONDS_WITHOUT
        ended.wait_until_all_train()
        told = ended.end()
        assert told["runs"][0] == 143
        assert "checkpoint" in told["runs"][1].split()
        assert told["new"] == (137, "")
    finally:
        ended.forget()
        kube.remove_namespaces("leaving", "left")
