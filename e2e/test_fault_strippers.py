"""Another webhook breaks what gracekeeper adds to a pod: what leaves the API server runs, or is as its owner wrote it.

The other webhook (e2e/stripper) is called before gracekeeper and after it, and again whenever a later one changes the pod.
"""

import pytest

from e2e import pods, stripper
from e2e.osmo import pods as osmo
from e2e.osmo.runs import CONTAINER, NATIVE, converted
from e2e.osmo.scenarios import task, trainer
from tools.kube import eventually

TRAINER = [f"{part}-{when}" for part in ("init", "volume") for when in stripper.POLICIES]
TASKS = [f"{part}-{when}" for part in stripper.PARTS for when in stripper.POLICIES]
TIMES_BROKEN = {"before": 1, "once": 1, "after": 2}
"""The API server calls webhooks twice at most. One that is called after gracekeeper breaks what it finds each time, and
gracekeeper, which is called last, mends it each time."""
OWN_COMMAND = ["sh", "-c", "echo trained; true"]
OVER_SECONDS = 120

pytestmark = pytest.mark.usefixtures("release")


@pytest.fixture(scope="module")
def created(kube, trainer_image, stand_ins):
    """Every pod of this file by its name, as it left the API server; all of them run side by side."""
    namespace = "strippers"
    eventually(lambda: not kube.exists("namespace", namespace), "an earlier namespace is gone", OVER_SECONDS)
    kube.make_namespace(namespace)
    stripper.install(kube, namespace, trainer_image)
    try:
        made = [a_trainer(f"trainer-{how}", how, trainer_image) for how in TRAINER]
        made += [a_task(f"task-{how}", how, NATIVE, namespace, stand_ins) for how in TASKS]
        made += [a_task("container-order-after", "order-after", CONTAINER, namespace, stand_ins)]
        secrets = {secret["metadata"]["name"]: secret for pod in made for secret in osmo.secrets(pod)}
        kube.apply(*secrets.values())
        yield {pod["metadata"]["name"]: kube.create_pod(namespace, pod) for pod in made}
    finally:
        stripper.uninstall(kube)
        kube.remove_namespaces(namespace)


def a_trainer(name: str, how: str, image: str):
    """A pod whose owner has SIGTERM forwarded, and that ends by itself."""
    pod = pods.a_pod(
        name,
        annotations={"checkpoint-size": "1GB", "forward-sigterm": "true"},
        labels={stripper.LABEL: how},
        command=tuple(OWN_COMMAND),
    )
    del pod["spec"]["schedulingGates"]
    pod["spec"]["containers"][0] |= {"image": image, "imagePullPolicy": "Never"}
    return {**pod, "spec": {**pod["spec"], "restartPolicy": "Never"}}


def a_task(name: str, how: str, mode: str, namespace: str, images):
    """A task of OSMO that ends by itself."""
    change = task(trainer("--train-seconds=1", "--save-at-end"), user={"GRACEKEEPER_OSMO_MODE": mode})
    pod = osmo.exchanged(osmo.examples()["train"], name, namespace, images, change)
    pod["metadata"]["labels"][stripper.LABEL] = how
    pod["metadata"].pop("finalizers", None)
    return pod


def names(pod, group: str) -> list[str]:
    return [member["name"] for member in pod["spec"].get(group) or ()]


def times_broken(pod) -> int:
    """How often the other webhook took or moved something."""
    return int(pod["metadata"]["annotations"].get(stripper.TOOK, "0"))


def wait_until_succeeded(kube, pod) -> None:
    where = [pod["metadata"]["name"], f"-n{pod['metadata']['namespace']}"]

    def is_over() -> bool:
        return kube("get", "pod", *where, "-ojsonpath={.status.phase}") in {"Succeeded", "Failed"}

    eventually(is_over, f"the end of {where[0]}", OVER_SECONDS)
    assert kube("get", "pod", *where, "-ojsonpath={.status.phase}") == "Succeeded"


@pytest.mark.parametrize("how", [how for how in TRAINER if not how.endswith("-once")])
def test_given_a_trainer_whose_wrapping_is_broken_then_it_runs_as_its_owner_wrote_it(kube, created, how):
    pod = created[f"trainer-{how}"]
    assert times_broken(pod) == TIMES_BROKEN[how.partition("-")[2]]
    assert pod["spec"]["containers"][0]["command"] == OWN_COMMAND
    assert "gracekeeper-init" not in names(pod, "initContainers")
    assert "gracekeeper" not in names(pod, "volumes")
    assert "another webhook breaks it" in str(pods.decision(pod))
    assert pods.grace_seconds(pod) > 30
    wait_until_succeeded(kube, pod)


@pytest.mark.parametrize("how", [how for how in TRAINER if how.endswith("-once")])
def test_given_a_trainer_whose_wrapping_is_broken_once_then_it_is_whole_again_and_runs(kube, created, how):
    """The API server calls gracekeeper once more after that, and the other webhook no more."""
    pod = created[f"trainer-{how}"]
    assert times_broken(pod) == 1
    assert pod["spec"]["containers"][0]["command"][0].endswith("/supervise")
    assert "gracekeeper-init" in names(pod, "initContainers")
    assert "gracekeeper" in names(pod, "volumes")
    assert pods.grace_seconds(pod) > 30
    wait_until_succeeded(kube, pod)


@pytest.mark.parametrize("how", TASKS)
def test_given_a_task_whose_conversion_is_broken_then_it_is_whole_again_and_runs(kube, created, how):
    pod = created[f"task-{how}"]
    assert times_broken(pod) == TIMES_BROKEN[how.partition("-")[2]]
    assert converted(pod) == NATIVE
    assert names(pod, "initContainers") == ["osmo-init", "gracekeeper-init", "osmo-ctrl"]
    assert "gracekeeper" in names(pod, "volumes")
    wait_until_succeeded(kube, pod)


def test_given_a_task_without_a_sidecar_when_its_order_is_broken_again_and_again_then_it_runs(kube, created):
    """docs/supervise.md says that order does not matter in this mode."""
    pod = created["container-order-after"]
    assert converted(pod) == CONTAINER
    wait_until_succeeded(kube, pod)
