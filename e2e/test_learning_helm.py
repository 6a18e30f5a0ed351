"""What was learned outlives upgrades, rollbacks and GitOps tools; an uninstallation leaves nothing of it."""

import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from e2e.observer import (
    EVIDENCE_SECONDS,
    LEARNED_SECONDS,
    OWN_SECONDS,
    VALUES,
    Observer,
    WrittenPod,
    a_training_pod,
    next_grace_seconds,
)
from e2e.test_helm import everything, of
from tools.cluster.steps import run
from tools.kube import eventually
from tools.release import CHART, Release
from webhook.policy.prefix import WORKLOAD_LABELS

pytestmark = [pytest.mark.release, pytest.mark.usefixtures("release")]
SELECTED = {"e2e": "other"}
"""Labels of namespaces that the session's own release leaves to this file's."""
NAME, NAMESPACE, TRAINING = "keeps", "what-was-learned", "trains"
CUT = (OWN_SECONDS, 137)


@pytest.fixture(scope="module")
def installed(kube, cluster, image, supervise_image) -> Iterator[Release]:
    values = {
        **VALUES,
        "webhook": {"namespaceSelector": {"matchLabels": SELECTED}},
        "server": {"drainSeconds": 0},
        "replicas": 1,
        "fullnameOverride": NAME,
    }
    release = Release(kube, cluster.tool("helm4"), NAME, NAMESPACE, image, supervise_image, values)
    kube.make_namespace(TRAINING, SELECTED)
    before = everything(kube)
    release.upgrade()
    yield release
    release.uninstall()
    kube.remove_namespaces(TRAINING, NAMESPACE)
    eventually(lambda: of(everything(kube) - before, NAME) == set(), "nothing left", 120)


@pytest.fixture
def learned(kube, installed) -> Observer:
    """The observer, which knows of one run that was cut."""
    installed.upgrade()
    observer = Observer(kube, installed)
    observer.wait_until_ready()
    if next_grace_seconds(kube, TRAINING, "model") == OWN_SECONDS:
        run_and_cut(observer, f"cut-{time.time_ns()}")
        eventually(lambda: next_grace_seconds(kube, TRAINING, "model") == EVIDENCE_SECONDS, "learned", LEARNED_SECONDS)
    return observer


def run_and_cut(observer: Observer, name: str) -> None:
    WrittenPod.begin(observer.kube, TRAINING, name, "model").stop(*CUT)


def rendered(release: Release, cluster) -> str:
    """What a GitOps tool applies."""
    command = [cluster.tool("helm4"), "template", NAME, CHART, "-f", "-", "--namespace", NAMESPACE, "--no-hooks"]
    return run(command, text=release.all_values())


def apply(release: Release, cluster, *options: str) -> None:
    words = ("apply", "--server-side", *options, "-f", "-", f"-n{NAMESPACE}")
    release.kube(*words, text=rendered(release, cluster))


def upgrade(release: Release, cluster, helm: str) -> None:
    release.upgrade(helm=cluster.tool(helm), podAnnotations={"e2e/upgrade": str(time.time_ns())})


def roll_back(release: Release, cluster, helm: str) -> None:
    upgrade(release, cluster, helm)
    release.run_helm(cluster.tool(helm), "rollback", NAME, "--wait", "--timeout=180s")


def apply_twice(release: Release, cluster) -> None:
    apply(release, cluster)
    apply(release, cluster)


def apply_and_heal(release: Release, cluster) -> None:
    """A GitOps controller adopts the objects; somebody changes one, and the controller applies all of them again."""
    owner = ("--field-manager=argocd-controller", "--force-conflicts")
    apply(release, cluster, *owner)
    memory = ("configmap", Observer(release.kube, release).memory_name, f"-n{NAMESPACE}")
    release.kube("label", *memory, "app.kubernetes.io/part-of=drifted", "--overwrite")
    apply(release, cluster, *owner)
    part_of = "-ojsonpath={.metadata.labels.app\\.kubernetes\\.io/part-of}"
    assert release.kube("get", *memory, part_of) == "gracekeeper"


CHANGES: Mapping[str, Callable[[Release, object], None]] = {
    "helm4-upgrade": lambda release, cluster: upgrade(release, cluster, "helm4"),
    "helm3-upgrade": lambda release, cluster: upgrade(release, cluster, "helm3"),
    "helm4-rollback": lambda release, cluster: roll_back(release, cluster, "helm4"),
    "helm3-rollback": lambda release, cluster: roll_back(release, cluster, "helm3"),
    "second-apply": apply_twice,
    "self-heal": apply_and_heal,
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_learned_is_kept(kube, cluster, installed, learned, change):
    before = learned.text()
    assert '"cut"' in before
    CHANGES[change](installed, cluster)
    assert learned.text() == before
    eventually(lambda: next_grace_seconds(kube, TRAINING, "model") == EVIDENCE_SECONDS, "the servers know it")


@pytest.mark.parametrize("helm", ["helm3", "helm4"])
def test_given_a_memory_that_the_observer_made_again_then_helm_goes_on_and_keeps_it(
    kube, cluster, installed, learned, helm
):
    kube("delete", "configmap", learned.memory_name, f"-n{NAMESPACE}")
    eventually(lambda: kube.exists("configmap", learned.memory_name, NAMESPACE), "it is made again", LEARNED_SECONDS)
    run_and_cut(learned, f"again-{helm}")
    eventually(lambda: '"cut"' in learned.text(), "a run is learned", LEARNED_SECONDS)
    before = learned.text()
    upgrade(installed, cluster, helm)
    assert learned.text() == before


def test_given_one_value_then_nothing_of_it_is_left_and_pods_get_no_labels(kube, installed, learned):
    # One that ended just now: the observer writes it when it is told to stop.
    run_and_cut(learned, "last")
    installed.upgrade(observer={"enabled": False})
    left = eventually(lambda: not_of_observer(of(everything(kube), NAME)), "nothing of the observer is left", 120)
    assert left
    created = kube.create_pod(TRAINING, a_training_pod("unlabelled", "model"))
    assert not set(WORKLOAD_LABELS) & created["metadata"]["labels"].keys()
    assert created["spec"]["terminationGracePeriodSeconds"] == OWN_SECONDS
    installed.upgrade()


def not_of_observer(lines: set[str]) -> set[str]:
    """The lines; none where one is the observer's."""
    return set() if any("observer" in line or "terminations" in line for line in lines) else lines


def test_uninstall_leaves_nothing_also_of_a_memory_that_the_observer_made_again(kube, installed, learned):
    kube("delete", "configmap", learned.memory_name, f"-n{NAMESPACE}")
    eventually(lambda: kube.exists("configmap", learned.memory_name, NAMESPACE), "it is made again", LEARNED_SECONDS)
    run_and_cut(learned, "before-the-end")
    installed.uninstall()
    try:
        eventually(lambda: of(everything(kube), NAME) == set(), "nothing left", 120)
        time.sleep(10)  # longer than the observer's last write
        assert of(everything(kube), NAME) == set()
    finally:
        installed.upgrade()
