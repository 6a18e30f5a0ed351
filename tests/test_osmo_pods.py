"""The pods of the OSMO e2e tests are OSMO's own, but for what is listed."""

import json
import re

import pytest

from e2e.osmo import pods
from e2e.osmo.pods import EXCHANGED, Images, Variation

IMAGES = Images(user="stand-ins:user", client="stand-ins:client")
PLAIN = Variation()
EVERYTHING = Variation(
    command="train",
    words=("sh", "-c", "train > log"),
    user={"GRACEKEEPER_GRACE_SECONDS": 90, "UPLOAD_SECONDS": 1},
    ctrl={"UPLOAD_SECONDS": 2},
    labels={"gracekeeper.dev/enabled": "false"},
    checkpoint_seconds=5,
    pre_stop={"sleep": {"seconds": 12}},
    node="worker",
    user_image="registry.invalid/none",
    slot="e2e.example/slot",
    missing_secret="none",
)
EXAMPLES = pods.examples()
TASKS = sorted(EXAMPLES)


def is_exchanged(path: str) -> bool:
    return any(re.fullmatch(pattern, path) for pattern in EXCHANGED)


def comparable(pod) -> str:
    """Every leaf that is not listed, in its order, as text."""
    return "\n".join(f"{path} {json.dumps(value)}" for path, value in pods.leaves(pod) if not is_exchanged(path))


def exchanged(task, change):
    return pods.exchanged(EXAMPLES[task], "a-run", "osmo", IMAGES, change)


def test_the_examples_are_the_tasks_of_two_workflows():
    assert TASKS == ["master", "train", "worker_1"]


@pytest.mark.parametrize("change", [PLAIN, EVERYTHING], ids=["plain", "everything"])
@pytest.mark.parametrize("task", TASKS)
def test_all_but_what_is_listed_is_identical(task, change):
    assert comparable(exchanged(task, change)) == comparable(EXAMPLES[task])


@pytest.mark.parametrize("task", TASKS)
def test_what_is_kept_is_most_of_the_pod(task):
    assert len(comparable(EXAMPLES[task]).splitlines()) > 200


@pytest.mark.parametrize("pattern", EXCHANGED)
def test_everything_listed_is_needed(pattern):
    differ = {
        path
        for task in TASKS
        for path, _ in set(map(repr_of, pods.leaves(EXAMPLES[task])))
        ^ set(map(repr_of, pods.leaves(exchanged(task, EVERYTHING))))
    }
    assert any(re.fullmatch(pattern, path) for path in differ)


def repr_of(leaf) -> tuple[str, str]:
    path, value = leaf
    return path, repr(value)


@pytest.mark.parametrize("task", TASKS)
def test_the_example_is_not_modified(task):
    example = EXAMPLES[task]
    before = json.dumps(example)
    pods.exchanged(example, "a-run", "osmo", IMAGES, EVERYTHING)
    assert json.dumps(example) == before


@pytest.mark.parametrize("task", TASKS)
def test_resources_keep_their_order_and_equality(task):
    original, here = EXAMPLES[task], exchanged(task, PLAIN)
    for before, after in zip(pods.containers(original), pods.containers(here), strict=True):
        for name, quantity in before["resources"]["requests"].items():
            if name in pods.QUANTITIES:
                equal = quantity == before["resources"]["limits"].get(name)
                assert (after["resources"]["requests"][name] == after["resources"]["limits"].get(name)) == equal


@pytest.mark.parametrize("task", TASKS)
def test_every_secret_that_the_pod_needs_is_made(task):
    pod = exchanged(task, PLAIN)
    made = {secret["metadata"]["name"]: set(secret["stringData"]) for secret in pods.secrets(pod)}
    for volume in pod["spec"]["volumes"]:
        if "secret" in volume:
            mounts = [mount for container in pods.containers(pod) for mount in container["volumeMounts"]]
            keys = {mount["subPath"] for mount in mounts if mount["name"] == volume["name"]}
            assert keys <= made[volume["secret"]["secretName"]]
    for container in pods.containers(pod):
        for variable in container.get("env", ()):
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            assert reference is None or reference["key"] in made[reference["name"]]


def test_a_scenario_changes_command_frequency_and_variables():
    user = exchanged("train", EVERYTHING)["spec"]["containers"][0]
    assert user["args"][-6:] == ["-commands", "sh", "-args", "-c", "-args", "train > log"]
    assert user["args"][:2] == ["-checkpoint", "/tmp/models;s3://acme-ckpt/groot/run-12/periodic;5;"]
    assert {"name": "GRACEKEEPER_GRACE_SECONDS", "value": "90"} in user["env"]
    assert {"name": "OSMO_STANDIN_UPLOAD_SECONDS", "value": "1"} in user["env"]
    assert user["image"] == "registry.invalid/none"
