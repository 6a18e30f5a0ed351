"""upload-container, where a golden case would say little."""

import copy
from dataclasses import replace

import jsonpatch
import pytest

from tests import golden
from tests.policy_calls import decide_pod, look_at, statements_of
from webhook.policy.configuration import Profile
from webhook.policy.facts import Facts
from webhook.policy.patch import operations
from webhook.policy.statements import keys

CASE = golden.load("upload-container-native-sidecar")
LOOP = golden.load("upload-container")


def with_annotations(case, **annotations):
    pod = copy.deepcopy(case.pod)
    own = pod["metadata"].get("annotations") or {}
    pod["metadata"]["annotations"] = {**own, **{f"gracekeeper.dev/{key}": text for key, text in annotations.items()}}
    return pod


def uploader_words(pod):
    """The command of the uploader after the patch."""
    patched = jsonpatch.apply_patch(pod, operations(pod, LOOP.decide(pod)))
    return patched["spec"]["containers"][1]["command"]


def test_a_pre_stop_sleep_of_the_trainer_is_waited_for_before_the_uploader_counts_as_told_alone():
    pod = copy.deepcopy(LOOP.pod)
    pod["spec"]["containers"][0]["lifecycle"] = {"preStop": {"sleep": {"seconds": 20}}}
    assert uploader_words(pod)[:6] == [
        *("/gracekeeper/bin/supervise", "follow", "--grace", "858"),
        *("--trainer-told-within", "50"),
    ]


def test_a_pre_stop_hook_of_unknown_length_may_delay_the_trainer_for_as_long_as_it_wants():
    pod = copy.deepcopy(LOOP.pod)
    pod["spec"]["containers"][0]["lifecycle"] = {"preStop": {"exec": {"command": ["save"]}}}
    assert uploader_words(pod)[:5] == ["/gracekeeper/bin/supervise", "follow", "--grace", "838", "--"]


@pytest.mark.parametrize(
    ("command", "is_noted"),
    [
        (["sh", "-c", "while true; do aws s3 sync /out s3://b; sleep 60; done"], True),
        (["sh", "-c", "trap stop=1 TERM; while true; do aws s3 sync /out s3://b; sleep 60; done"], False),
        (["sh", "-c", "python upload.py; echo over"], False),
        (["python", "while.py"], False),
    ],
)
def test_only_a_loop_without_a_trap_is_said_to_use_up_the_grace(command, is_noted):
    pod = copy.deepcopy(LOOP.pod)
    pod["spec"]["containers"][1]["command"] = command
    assert any("uses up the grace" in note for note in LOOP.decide(pod).notes) is is_noted


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("rclon", "the pod has no such container"),
        ("prepare", "an init container has ended before the trainer starts"),
        ("main", "it is taken for the trainer"),
    ],
)
def test_a_container_that_cannot_be_meant_is_ignored_with_one_that_can_as_the_example(name, why):
    decision = CASE.decide(with_annotations(CASE, **{"upload-container": name}))
    [ignored] = decision.ignored
    assert ignored.warning == f"ignored upload-container={name}: {why}, e.g. rclone"
    assert decision.changes is None


def test_a_pod_without_a_container_beside_the_trainer_is_shown_a_name_all_the_same():
    pod = golden.load("forward-sigterm").pod
    pod["metadata"]["annotations"]["gracekeeper.dev/upload-container"] = "x"
    [ignored] = statements_of(pod).ignored
    assert ignored.example == "uploader"


def test_an_osmo_task_has_an_uploader_of_its_own():
    case = golden.load("osmo-native")
    decision = case.decide(with_annotations(case, **{"upload-container": "osmo-ctrl"}))
    assert [ignored.why for ignored in decision.ignored] == ["an OSMO task is uploaded by osmo-ctrl"]


def test_a_profile_that_names_a_container_is_heard_in_pods_that_have_it_and_passed_over_in_others():
    profile = Profile("uploads", values={"upload-container": "s3-sync"})
    with_it, without_it = copy.deepcopy(LOOP.pod), golden.load("forward-sigterm").pod
    del with_it["metadata"]["annotations"]["gracekeeper.dev/upload-container"]
    heard = statements_of(with_it, profile=profile).get(keys.UPLOAD_CONTAINER)
    assert heard is not None
    assert heard.origin == "profile uploads"
    assert statements_of(without_it, profile=profile).get(keys.UPLOAD_CONTAINER) is None
    assert statements_of(without_it, profile=profile).ignored == ()


def test_where_the_trainer_cannot_be_wrapped_the_uploader_is_not_either_and_both_reasons_are_told():
    decision = decide_pod(LOOP.pod, Facts(limit_ranges=None), LOOP.config, LOOP.namespace.name)
    assert decision.changes is None
    assert decision.notes == (
        "forward-sigterm: the namespace's LimitRanges are not known",
        "upload-container: s3-sync is not held, as the trainer does not start through supervise",
    )


def test_without_an_image_of_supervise_nobody_is_held_and_the_upload_is_still_in_the_sum():
    config = replace(LOOP.config, supervise=replace(LOOP.config.supervise, image=None))
    decision = decide_pod(LOOP.pod, LOOP.facts, config, LOOP.namespace.name)
    assert decision.changes is None
    assert decision.grace_seconds == 838


def test_the_upload_is_taken_off_torch_s_clock_though_the_containers_share_no_volume():
    pod = copy.deepcopy(LOOP.pod)
    pod["spec"]["containers"][0]["command"] = ["torchrun", "train.py"]
    pod["spec"]["containers"][1]["volumeMounts"] = []
    edits = {edit.name: edit.value for edit in LOOP.decide(pod).environment}
    assert edits == {"TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(838 - 382 - 5)}
    assert look_at(pod).statements.get(keys.UPLOAD_CONTAINER) is not None
