"""forward-sigterm: auto, by its three conditions, and what an upgrade from 0.1.0 changes."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import jsonpatch
import pytest

from tests import golden
from tests.policy_calls import decide_pod
from webhook.policy.configuration import Config, ForwardSigterm, Match, Profile, Supervise, UnknownSize
from webhook.policy.facts import Facts, PrePull, pre_pull_of
from webhook.policy.observed.memory import Lesson, Sample
from webhook.policy.patch import operations
from webhook.policy.report import table

RECORDED = json.loads((Path(__file__).parent / "recorded" / "patches-of-0.1.0.json").read_text())
OTHER_CLOCK_SINCE = {
    "grace-of-the-largest-number": "no clock is set above 30 days",
    "kind-appwrapper": "a PyTorchJob's pods of a file carry PET_NNODES, as its operator writes it",
    "mark-kubeflow-v1-variables": "MASTER_ADDR with WORLD_SIZE show torch",
    "upload": "the trainer uploads itself, so its clock has the upload's time",
}
OTHER_START_SINCE = {
    f"forward-sigterm{suffix}"
    for suffix in ("", "-best-effort", "-by-profile", "-default-container", "-limit-range", "-pull-secret")
}
"""supervise is told the grace and where the termination message is."""
IMAGE = "registry.example/supervise:1"
CONFIG = Config(supervise=Supervise(image=IMAGE))
READY = Facts(pre_pull=PrePull(IMAGE))
LOST = replace(READY, exact_runs=(Sample(0, 30, 30, Lesson.CUT),))
"""An earlier run was cut. As gracekeeper then cures the start, the cut teaches no time."""
KEY = {"gracekeeper.dev/checkpoint-size": "9.2GB"}
LABELS = {"training.kubeflow.org/job-name": "j"}
COMMAND = ["bash", "-c", "torchrun train.py | tee log"]


def digest(patch):
    return hashlib.sha256(json.dumps(patch, sort_keys=True).encode()).hexdigest()[:16]


def without_notes(operation):
    if not operation["path"].startswith("/metadata/annotations"):
        return operation
    story = operation["value"].get("gracekeeper.dev/decision", operation["value"])
    return {**operation, "value": {key: value for key, value in story.items() if key != "notes"}}


def test_every_case_of_0_1_0_is_still_there():
    assert len(RECORDED) > 250
    assert set(RECORDED) <= set(golden.names())


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_given_no_pre_pull_and_no_observer_when_0_1_0_is_upgraded_then_the_patch_is_the_same_but_for_notes(name):
    case = golden.load(name).without_observer()
    patch = [without_notes(operation) for operation in golden.readable(operations(case.pod, case.decide()))]
    start = digest([each for each in patch if "/env" not in each["path"]])
    assert (start == RECORDED[name]["start"]) is (name not in OTHER_START_SINCE)
    assert (digest(patch) == RECORDED[name]["patch"]) is (name not in {*OTHER_CLOCK_SINCE, *OTHER_START_SINCE})


def a_pod(command=None, *, annotations=KEY, labels=LABELS, **spec):
    container = {"name": "trainer", "image": "x", "command": COMMAND if command is None else command}
    return {
        "metadata": {"labels": dict(labels), "annotations": dict(annotations)},
        "spec": {"containers": [container], **spec},
    }


def wraps(pod, facts=READY, config=CONFIG, namespace=None):
    return decide_pod(pod, facts, config, namespace=namespace).changes is not None


NAMESPACE = {"metadata": {"name": "n", "annotations": {"gracekeeper.dev/step-seconds": "10"}}}
OPTED_IN = {"metadata": {"name": "n", "labels": {"gracekeeper.dev/enabled": "true"}}}


def test_given_all_three_conditions_when_a_pod_is_created_then_it_is_wrapped_once():
    pod = a_pod()
    decision = decide_pod(pod, READY, CONFIG)
    patched = jsonpatch.apply_patch(pod, operations(pod, decision))
    command = patched["spec"]["containers"][0]["command"]
    assert command[:2] == ["/gracekeeper/bin/supervise", "forward"]
    assert command[command.index("--") + 1 :] == COMMAND
    assert decision.notes == ()
    assert operations(patched, decide_pod(patched, READY, CONFIG)) == []


@pytest.mark.parametrize(
    ("annotations", "config", "namespace", "facts", "wrapped"),
    [
        (KEY, CONFIG, None, READY, True),
        ({"gracekeeper.dev/checkpoint-size": "much"}, CONFIG, None, READY, True),
        ({"gracekeeper.dev/enabled": "true"}, CONFIG, None, READY, True),
        ({}, CONFIG, NAMESPACE, READY, True),
        ({}, replace(CONFIG, unknown_size=UnknownSize.DEFAULT), OPTED_IN, READY, True),
        ({}, CONFIG, OPTED_IN, READY, True),
        ({}, replace(CONFIG, profiles=(Profile("p", Match()),)), None, READY, True),
        ({}, CONFIG, None, LOST, True),
        ({}, CONFIG, None, READY, False),
        ({}, replace(CONFIG, unknown_size=UnknownSize.DEFAULT), None, READY, False),
    ],
)
def test_auto_wraps_only_where_somebody_wants_the_checkpoint(annotations, config, namespace, facts, wrapped):
    assert wraps(a_pod(annotations=annotations), facts, config, namespace) is wrapped


def test_given_an_earlier_run_lost_its_save_when_nobody_tells_the_size_then_the_start_is_cured_and_the_grace_stays():
    pod = a_pod(annotations={})
    decision = decide_pod(pod, LOST, CONFIG)
    assert (decision.outcome, decision.grace_seconds) == ("patched", None)
    patched = jsonpatch.apply_patch(pod, operations(pod, decision))
    again = decide_pod(patched, LOST, CONFIG)
    assert operations(patched, again) == []
    assert not any("None" in str(line) for line in table(decision))


@pytest.mark.parametrize(
    ("command", "wrapped"),
    [
        (["bash", "train.sh"], True),
        (["conda", "run", "python", "train.py"], True),
        (["dumb-init", "python", "train.py"], True),
        (["tini", "-g", "--", "python", "train.py"], True),
        (["torchrun", "train.py"], True),
        (["deepspeed", "train.py"], True),
        (["mpirun", "-np", "8", "python", "train.py"], True),
        (["python", "train.py"], False),
        (["bash", "-c", "exec python train.py"], False),
        (["dlrover-run", "train.py"], False),
        (["ray", "start", "--block"], False),
        (["/usr/sbin/sshd", "-De"], False),
    ],
)
def test_auto_wraps_only_a_start_that_loses_the_save(command, wrapped):
    assert wraps(a_pod(command)) is wrapped


def test_given_the_owner_s_or_the_admin_s_word_when_it_is_not_auto_then_it_counts():
    def stated(value):
        return a_pod(annotations={**KEY, "gracekeeper.dev/forward-sigterm": value})

    no = replace(CONFIG, forward_sigterm=ForwardSigterm.NO)
    yes = replace(CONFIG, forward_sigterm=ForwardSigterm.YES)
    assert wraps(stated("true"), Facts())
    assert not wraps(stated("false"))
    assert wraps(stated("auto"), config=no)
    assert not wraps(a_pod(), config=no)
    assert wraps(a_pod(["python", "train.py"]), Facts(), yes)
    assert "neither true, false nor auto" in str(decide_pod(stated("yes"), READY, CONFIG).ignored[0])


EXCEPTIONS = {
    "its script traps SIGTERM itself": a_pod(["bash", "-c", "trap 'touch stop; wait' TERM; python train.py & wait"]),
    "its script is too long to be read": a_pod(["bash", "-c", "echo\n" * 9000]),
    "its ranks run in other pods": a_pod(["mpirun", "-H", "a,b", "python", "train.py"]),
    "Kueue compares the pods of a group": a_pod(labels={**LABELS, "kueue.x-k8s.io/pod-group-name": "g"}),
    "supervise.runtimeClasses does not name gvisor": a_pod(runtimeClassName="gvisor"),
}


@pytest.mark.parametrize(("reason", "pod"), EXCEPTIONS.items(), ids=lambda value: str(value)[:40])
def test_auto_never_wraps_these_and_says_why(reason, pod):
    decision = decide_pod(pod, READY, CONFIG)
    assert decision.changes is None
    assert f"forward-sigterm: auto: not wrapped, as {reason}" in decision.notes
    assert wraps({**pod, "metadata": {**pod["metadata"], "annotations": {"gracekeeper.dev/forward-sigterm": "true"}}})


def test_given_a_runtime_class_that_the_configuration_names_when_a_pod_has_it_then_auto_wraps():
    assert wraps(a_pod(runtimeClassName="nvidia"))
    named = replace(CONFIG, supervise=Supervise(image=IMAGE, runtime_classes=("kata",)))
    assert wraps(a_pod(runtimeClassName="kata"), config=named)
    assert not wraps(a_pod(runtimeClassName="nvidia"), config=named)


def test_given_no_pre_pull_when_the_start_loses_the_save_then_auto_only_warns():
    (note, launcher) = decide_pod(a_pod(), Facts(), CONFIG).notes
    assert note.startswith("PID 1 of container trainer is a shell")
    assert launcher.startswith("torchrun of container trainer")


GPU = {"node.example/gpu": "true"}


@pytest.mark.parametrize(
    ("reason", "pre_pull", "supervise"),
    [
        (
            "supervise.imagesAlwaysPulled is true, so no image counts as pulled",
            PrePull(IMAGE),
            {"images_always_pulled": True},
        ),
        ("it is not known", PrePull(IMAGE, "it is not known"), {}),
        ("the pre-pull DaemonSet has another image of supervise", PrePull("other"), {}),
        ("the pre-pull DaemonSet has another image of supervise", PrePull(), {}),
        (
            "the image is pulled with a secret: name one for pods in supervise.imagePullSecret",
            PrePull(IMAGE, pulls_with_secret=True),
            {},
        ),
        (
            "the pod may land on a node without node.example/gpu=true, which is not pre-pulled",
            PrePull(IMAGE, node_selector=GPU),
            {},
        ),
    ],
)
def test_given_the_image_may_be_missing_on_the_node_when_a_pod_is_created_then_auto_says_why_not(
    reason, pre_pull, supervise
):
    config = replace(CONFIG, supervise=replace(CONFIG.supervise, **supervise))
    decision = decide_pod(a_pod(), Facts(pre_pull=pre_pull), config)
    assert decision.changes is None
    assert decision.notes[-1] == f"forward-sigterm: auto: not wrapped, as {reason}"


def test_given_the_pod_asks_for_nodes_that_are_pre_pulled_when_it_is_created_then_auto_wraps():
    assert wraps(a_pod(nodeSelector=GPU), Facts(pre_pull=PrePull(IMAGE, node_selector=GPU)))


def test_given_the_namespace_s_bounds_are_not_known_when_auto_would_wrap_then_both_are_told():
    decision = decide_pod(a_pod(), replace(READY, limit_ranges=None), CONFIG)
    assert decision.changes is None
    assert decision.notes[0].startswith("PID 1 of container trainer is a shell")
    assert decision.notes[-1] == "forward-sigterm: the namespace's LimitRanges are not known"


def test_given_the_image_is_pulled_with_a_secret_when_pods_get_one_too_then_auto_wraps():
    config = replace(CONFIG, supervise=Supervise(image=IMAGE, image_pull_secret="registry"))
    assert wraps(a_pod(), Facts(pre_pull=PrePull(IMAGE, pulls_with_secret=True)), config)


def test_given_a_daemon_set_with_a_pull_secret_then_it_pulls_with_it():
    daemon_set = a_daemon_set()
    daemon_set["spec"]["template"]["spec"]["imagePullSecrets"] = [{"name": "registry"}]
    assert pre_pull_of(daemon_set).pulls_with_secret


def a_daemon_set(**status):
    everywhere = {"containers": [{"image": IMAGE}], "tolerations": [{"operator": "Exists"}], "nodeSelector": GPU}
    counts = {"desiredNumberScheduled": 3, "numberReady": 3, "updatedNumberScheduled": 3, "observedGeneration": 2}
    return {
        "metadata": {"generation": 2},
        "spec": {"template": {"spec": everywhere}},
        "status": {**counts, **status},
    }


@pytest.mark.parametrize(
    ("status", "why_not"),
    [
        ({}, ""),
        ({"numberReady": 2}, "the pre-pull DaemonSet is ready on 2 of 3 nodes"),
        ({"desiredNumberScheduled": 0}, "the pre-pull DaemonSet is ready on 3 of 0 nodes"),
        ({"numberReady": "3"}, "the pre-pull DaemonSet is ready on 0 of 3 nodes"),
        ({"updatedNumberScheduled": 2}, "the pre-pull DaemonSet is being updated"),
        ({"observedGeneration": 1}, "the pre-pull DaemonSet is being updated"),
    ],
)
def test_a_daemon_set_tells_whether_the_image_is_on_all_of_its_nodes(status, why_not):
    assert pre_pull_of(a_daemon_set(**status)) == PrePull(IMAGE, why_not, GPU)


@pytest.mark.parametrize(
    "tolerations", [[], [{"operator": "Exists", "key": "a"}], [{"operator": "Exists", "effect": "NoSchedule"}]]
)
def test_given_a_daemon_set_that_does_not_tolerate_every_taint_then_nodes_are_left_out(tolerations):
    daemon_set = a_daemon_set()
    daemon_set["spec"]["template"]["spec"]["tolerations"] = tolerations
    assert pre_pull_of(daemon_set).why_not == "supervise.prePull.tolerations leave nodes out"


def test_given_a_daemon_set_of_which_nothing_is_known_then_no_image_is():
    assert pre_pull_of({}).image is None
