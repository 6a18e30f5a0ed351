"""What another webhook did to a pod after this one wrapped it: the pod runs, or it is as its owner wrote it."""

import copy
import json
from dataclasses import replace
from typing import Any

import jsonpatch
import pytest

from tests import golden
from webhook.policy.patch import operations

FORWARD = golden.load("forward-sigterm")
OSMO = golden.load("osmo-converted-native")
CONTAINER = golden.load("osmo-converted-container")
UPLOADERS = {name: golden.load(name) for name in ("upload-container", "upload-container-native-sidecar")}


def patched(case: golden.Case, pod: dict[str, Any] | None = None) -> dict[str, Any]:
    """The pod after this webhook, in a copy that a test may change."""
    pod = case.pod if pod is None else pod
    return copy.deepcopy(jsonpatch.apply_patch(pod, operations(pod, case.decide(pod))))


def without(pod: dict[str, Any], group: str, name: str) -> dict[str, Any]:
    members = [member for member in pod["spec"][group] if member["name"] != name]
    return {**pod, "spec": {**pod["spec"], group: members}}


def without_mounts(pod: dict[str, Any], container_name: str) -> dict[str, Any]:
    for container in pod["spec"]["containers"]:
        if container["name"] == container_name:
            container["volumeMounts"] = []
    return pod


def names(pod: dict[str, Any], group: str) -> list[str]:
    return [member["name"] for member in pod["spec"].get(group) or ()]


def named(pod: dict[str, Any], group: str, name: str) -> dict[str, Any]:
    return next(member for member in pod["spec"][group] if member["name"] == name)


def trainer_of(pod: dict[str, Any]) -> dict[str, Any]:
    return named(pod, "containers", FORWARD.decide().trainer or "")


STRIPPED = {
    "the init container is gone": lambda pod: without(pod, "initContainers", "gracekeeper-init"),
    "all init containers are gone": lambda pod: {**pod, "spec": {**pod["spec"], "initContainers": []}},
    "the volume is gone": lambda pod: without(pod, "volumes", "gracekeeper"),
    "init container and volume are gone": lambda pod: without(
        without(pod, "initContainers", "gracekeeper-init"), "volumes", "gracekeeper"
    ),
    "the mount is gone": lambda pod: without_mounts(pod, FORWARD.decide().trainer or ""),
}


@pytest.mark.parametrize("strip", STRIPPED.values(), ids=list(STRIPPED))
def test_given_a_wrapped_trainer_when_another_webhook_takes_a_part_away_then_the_pod_starts_as_its_owner_wrote_it(
    strip,
):
    after = patched(FORWARD, strip(patched(FORWARD)))
    assert trainer_of(after)["command"] == trainer_of(FORWARD.pod)["command"]
    assert trainer_of(after).get("volumeMounts", []) == trainer_of(FORWARD.pod).get("volumeMounts", [])
    assert names(after, "volumes") == names(FORWARD.pod, "volumes")
    assert names(after, "initContainers") == names(FORWARD.pod, "initContainers")


BROKEN_UPLOADERS = {
    "the init container is gone": lambda pod: without(pod, "initContainers", "gracekeeper-init"),
    "the volume is gone": lambda pod: without(pod, "volumes", "gracekeeper"),
    "the trainer's folder for the uploader is gone": lambda pod: without_mount(pod, "main", "/gracekeeper/task"),
    "the trainer's binary is gone": lambda pod: without_mount(pod, "main", "/gracekeeper/bin"),
}


def without_mount(pod: dict[str, Any], container_name: str, path: str) -> dict[str, Any]:
    container = named(pod, "containers", container_name)
    container["volumeMounts"] = [mount for mount in container["volumeMounts"] if mount["mountPath"] != path]
    return pod


def as_written(pod: dict[str, Any]) -> dict[str, Any]:
    """What the owner wrote of the containers and volumes."""
    return {group: pod["spec"].get(group) or [] for group in ("containers", "initContainers", "volumes")}


@pytest.mark.parametrize("case", UPLOADERS.values(), ids=list(UPLOADERS))
@pytest.mark.parametrize("strip", BROKEN_UPLOADERS.values(), ids=list(BROKEN_UPLOADERS))
def test_given_a_held_uploader_when_a_part_is_taken_away_then_trainer_and_uploader_start_as_their_owner_wrote_them(
    strip, case
):
    broken = strip(patched(case))
    assert as_written(patched(case, broken)) == as_written(case.pod)
    name = case.pod["metadata"]["annotations"]["gracekeeper.dev/upload-container"]
    note = f"upload-container: {name} is not held, as the trainer does not start through supervise"
    assert note in case.decide(broken).notes


def test_given_a_held_native_sidecar_when_it_is_moved_before_the_binary_then_both_start_as_their_owner_wrote_them():
    case = UPLOADERS["upload-container-native-sidecar"]
    after = patched(case, reordered(patched(case)))
    assert "/gracekeeper" not in json.dumps(as_written(after))


def test_given_a_held_uploader_when_its_command_is_replaced_then_the_trainer_stays_wrapped_and_the_owner_is_told():
    case = UPLOADERS["upload-container"]
    pod = patched(case)
    named(pod, "containers", "s3-sync")["command"] = ["other"]
    after = patched(case, pod)
    assert named(after, "containers", "main")["command"][:3] == ["/gracekeeper/bin/supervise", "forward", "--followed"]
    assert named(after, "containers", "s3-sync")["command"] == ["other"]
    note = "upload-container: s3-sync is not held, as it was added or changed after the trainer was wrapped"
    assert case.decide(after).notes == (note,)


def test_given_a_wrapped_trainer_whose_own_arguments_name_our_options_when_asked_again_then_it_stays_wrapped():
    pod = copy.deepcopy(FORWARD.pod)
    named(pod, "containers", "trainer")["command"] = ["sh", "-c", "train; true", "follow", "--followed"]
    after = patched(FORWARD, pod)
    assert operations(after, FORWARD.decide(after)) == []


def test_given_a_broken_wrapping_when_it_is_undone_then_the_decision_says_what_is_lost_and_the_grace_stays():
    wrapped = patched(FORWARD)
    broken = without(wrapped, "initContainers", "gracekeeper-init")
    decision = FORWARD.decide(broken)
    assert "another webhook breaks it: init container gracekeeper-init is gone" in "".join(decision.notes)
    assert decision.grace_seconds == wrapped["spec"]["terminationGracePeriodSeconds"]


def test_given_a_whole_wrapping_when_other_webhooks_add_containers_then_nothing_changes():
    pod = patched(FORWARD)
    pod["spec"]["initContainers"].insert(0, {"name": "istio-proxy", "restartPolicy": "Always", "image": "i"})
    pod["spec"]["containers"].append({"name": "agent", "image": "a"})
    assert operations(pod, FORWARD.decide(pod)) == []


def osmo_parts(pod: dict[str, Any]) -> dict[str, Any]:
    return {
        "inits": names(pod, "initContainers"),
        "containers": sorted(names(pod, "containers")),
        "volumes": sorted(names(pod, "volumes")),
        "commands": {c["name"]: c.get("command") for c in (*pod["spec"]["initContainers"], *pod["spec"]["containers"])},
        "requests": {
            c["name"]: (c.get("resources") or {}).get("requests")
            for c in (*pod["spec"]["initContainers"], *pod["spec"]["containers"])
        },
    }


def reordered(pod: dict[str, Any]) -> dict[str, Any]:
    return {**pod, "spec": {**pod["spec"], "initContainers": pod["spec"]["initContainers"][::-1]}}


BROKEN_TASKS = {
    "the order of the init containers is turned": reordered,
    "gracekeeper-init is gone": lambda pod: without(pod, "initContainers", "gracekeeper-init"),
    "the volume is gone": lambda pod: without(pod, "volumes", "gracekeeper"),
}


@pytest.mark.parametrize("change", BROKEN_TASKS.values(), ids=list(BROKEN_TASKS))
def test_given_a_converted_task_when_another_webhook_breaks_it_then_it_is_whole_again(change):
    whole = copy.deepcopy(OSMO.pod)
    after = patched(OSMO, change(copy.deepcopy(whole)))
    assert osmo_parts(after) == osmo_parts(whole)
    assert operations(after, OSMO.decide(after)) == []


def test_given_a_converted_task_when_the_gate_is_gone_then_it_is_there_again():
    after = patched(OSMO, without(copy.deepcopy(OSMO.pod), "containers", "gracekeeper-gate"))
    assert names(after, "containers").count("gracekeeper-gate") == 1
    assert names(after, "initContainers") == names(OSMO.pod, "initContainers")


def test_given_a_converted_task_when_its_sidecar_lost_restart_policy_then_osmo_ctrl_is_a_regular_container_again():
    pod = copy.deepcopy(OSMO.pod)
    del named(pod, "initContainers", "osmo-ctrl")["restartPolicy"]
    after = patched(OSMO, pod)
    assert "osmo-ctrl" in names(after, "containers")
    assert "osmo-ctrl" not in names(after, "initContainers")
    assert "gracekeeper-gate" not in names(after, "containers")
    assert "--sidecar" not in named(after, "containers", "osmo-ctrl")["command"]
    gate = named(OSMO.pod, "containers", "gracekeeper-gate")
    of_gate = gate["resources"]["requests"]
    assert named(after, "containers", "osmo-ctrl")["resources"]["requests"].items() >= of_gate.items()


def test_given_a_converted_task_when_the_uploader_s_command_was_replaced_then_it_is_converted_anew():
    pod = copy.deepcopy(CONTAINER.pod)
    named(pod, "containers", "osmo-ctrl")["command"] = ["/osmo/bin/osmo_ctrl"]
    after = patched(CONTAINER, pod)
    assert named(after, "containers", "osmo-ctrl")["command"][:2] == ["/gracekeeper/bin/supervise", "hold"]


def test_given_a_task_that_can_no_longer_be_converted_when_its_wrapping_is_broken_then_it_is_as_osmo_wrote_it():
    broken = without(copy.deepcopy(OSMO.pod), "initContainers", "gracekeeper-init")
    case = replace(OSMO, config=replace(OSMO.config, supervise=replace(OSMO.config.supervise, image=None)))
    after = patched(case, broken)
    assert "gracekeeper" not in json.dumps({**after["spec"]})
    assert "osmo-ctrl" in names(after, "containers")


def test_given_a_pod_that_opted_out_when_its_wrapping_is_broken_then_it_is_left_alone():
    pod = without(patched(FORWARD), "initContainers", "gracekeeper-init")
    pod["metadata"]["annotations"]["gracekeeper.dev/enabled"] = "false"
    assert operations(pod, FORWARD.decide(pod)) == []


def test_given_a_gate_without_a_native_sidecar_when_we_are_asked_again_then_the_task_is_converted_anew():
    pod = copy.deepcopy(OSMO.pod)
    sidecar = named(pod, "initContainers", "osmo-ctrl")
    pod["spec"]["initContainers"].remove(sidecar)
    pod["spec"]["containers"].append({name: value for name, value in sidecar.items() if name != "restartPolicy"})
    after = patched(OSMO, pod)
    assert names(after, "initContainers")[-1] == "osmo-ctrl"
    assert named(after, "initContainers", "osmo-ctrl")["restartPolicy"] == "Always"
    assert names(after, "containers").count("gracekeeper-gate") == 1
