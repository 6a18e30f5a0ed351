"""The labels by which the observer knows a workload again, on the pods that get them and on those that do not."""

import copy
from dataclasses import replace

import jsonpatch
import pytest

from tests import golden
from tests.policy_calls import decide_pod, statements_of
from webhook.config.fields import load_config
from webhook.policy.configuration import Config, Match, Mode, Observer, Profile
from webhook.policy.decision import Outcome
from webhook.policy.patch import operations
from webhook.policy.pod import read_pod
from webhook.policy.report import table, warnings
from webhook.policy.workload.labels import are_ours
from webhook.policy.workload.workload_names import names_of

COARSE, EXACT = "gracekeeper.dev/workload-coarse", "gracekeeper.dev/workload-exact"
LEARNS = Config()
LEARNS_NOT = Config(observer=Observer(enabled=False))
AUDITS = replace(LEARNS, mode=Mode.AUDIT)


def a_pod(labels=None, annotations=None, env=None):
    """A training pod of unknown size."""
    container = {"name": "t", "image": "train:1", "command": ["train.py"], "env": env or []}
    metadata = {"name": "run-a", "labels": {"ray.io/cluster": "c", **(labels or {})}, "annotations": annotations or {}}
    return {"metadata": metadata, "spec": {"containers": [container], "terminationGracePeriodSeconds": 30}}


def patched(pod, config=LEARNS, namespace=None):
    before = copy.deepcopy(pod)
    patch = operations(pod, decide_pod(pod, config=config, namespace=namespace))
    assert pod == before
    return jsonpatch.apply_patch(pod, patch)


def labels_written(pod, config=LEARNS, namespace=None):
    labels = patched(pod, config, namespace)["metadata"]["labels"]
    return labels.get(COARSE), labels.get(EXACT)


def computed(pod):
    names = names_of(read_pod(pod))
    return names.coarse, names.exact


def test_a_training_pod_of_unknown_size_gets_both_labels_and_nothing_else():
    pod = a_pod()
    assert decide_pod(pod, config=LEARNS).outcome is Outcome.SIZE_UNKNOWN
    after = patched(pod)
    assert labels_written(pod) == computed(pod)
    assert {**after, "metadata": pod["metadata"]} == pod
    assert after["metadata"].keys() == pod["metadata"].keys()


def test_a_pod_without_labels_gets_them():
    pod = a_pod(annotations={"gracekeeper.dev/grace-seconds": "60"})
    del pod["metadata"]["labels"]
    assert labels_written(pod) == computed(pod)


def test_without_the_observer_no_pod_is_labelled():
    assert labels_written(a_pod(), LEARNS_NOT) == (None, None)


def test_the_configuration_file_switches_it_off():
    assert load_config({}).observer.enabled
    assert not load_config({"observer": {"enabled": False}}).observer.enabled
    assert load_config({"auditLabels": True}).audit_labels


def test_in_audit_mode_nothing_is_patched():
    pod = a_pod(annotations={"gracekeeper.dev/checkpoint-size": "100Gi"})
    assert operations(pod, decide_pod(pod, config=AUDITS)) == []


def test_audit_labels_lets_the_labels_through_and_nothing_else():
    pod = a_pod(annotations={"gracekeeper.dev/checkpoint-size": "100Gi"})
    config = replace(AUDITS, audit_labels=True)
    assert {operation["path"] for operation in operations(pod, decide_pod(pod, config=config))} == {
        "/metadata/labels/gracekeeper.dev~1workload-coarse",
        "/metadata/labels/gracekeeper.dev~1workload-exact",
    }


def test_a_profile_in_audit_mode_audits_its_pods():
    profile = Profile("trial", Match(), mode=Mode.AUDIT)
    config = replace(LEARNS, profiles=(profile,))
    assert labels_written(a_pod(), config) == (None, None)
    assert labels_written(a_pod(), replace(config, audit_labels=True)) == computed(a_pod())


@pytest.mark.parametrize("how", ["annotations", "labels", "env"])
def test_a_name_of_the_owner_stands_for_both(how):
    said = {"gracekeeper.dev/workload": "llama-sft"}
    env = [{"name": "GRACEKEEPER_WORKLOAD", "value": "llama-sft"}]
    pod = a_pod(**{how: env if how == "env" else said})
    assert labels_written(pod) == ("llama-sft", "llama-sft")


def test_a_name_of_the_namespace_is_no_exact_one():
    namespace = {"metadata": {"annotations": {"gracekeeper.dev/workload": "team"}}}
    assert labels_written(a_pod(), namespace=namespace) == ("team", computed(a_pod())[1])


@pytest.mark.parametrize("name", ["", "-x", "a b", "x" * 64, "ümlaut"])
def test_a_name_that_is_no_label_value_is_ignored_with_a_warning(name):
    pod = a_pod(annotations={"gracekeeper.dev/workload": name})
    assert labels_written(pod) == computed(pod)
    assert any("workload" in warning for warning in warnings(decide_pod(pod, config=LEARNS)))


def test_none_is_not_remembered_and_loses_labels_that_were_copied():
    copied = {COARSE: "0123456789abcdef", EXACT: "0123456789abcdef"}
    pod = a_pod(labels={**copied, "gracekeeper.dev/workload": "none"})
    assert labels_written(pod) == (None, None)
    assert labels_written(a_pod(annotations={"gracekeeper.dev/workload": "none"})) == (None, None)


@pytest.mark.parametrize("where", ["pod", "namespace"])
def test_not_to_be_remembered_is_no_wish_for_a_checkpoint(where):
    said = {"metadata": {"annotations": {"gracekeeper.dev/workload": "none"}}}
    pod = a_pod(annotations=said["metadata"]["annotations"]) if where == "pod" else a_pod()
    namespace = said if where == "namespace" else None
    assert not statements_of(pod, namespace).by_owner
    assert decide_pod(pod, config=LEARNS, namespace=namespace).outcome is Outcome.SIZE_UNKNOWN


def test_labels_that_were_copied_from_another_pod_are_no_word_of_its_owner():
    pod = a_pod(labels={COARSE: "0123456789abcdef", EXACT: "0123456789abcdef"})
    assert not statements_of(pod).by_owner
    assert statements_of(pod).ignored == ()
    assert labels_written(pod) == computed(a_pod())
    assert patched(pod, LEARNS_NOT) == pod


def test_labels_are_ours_after_everything_that_gracekeeper_changes_in_a_pod():
    pods = [a_pod(), a_pod(annotations={"gracekeeper.dev/workload": "llama-sft"})]
    for pod in pods:
        after = patched(pod)
        assert are_ours(read_pod(after), statements_of(after))
        assert not are_ours(read_pod(pod), statements_of(pod))
    namespace = {"metadata": {"annotations": {"gracekeeper.dev/workload": "team"}}}
    after = patched(a_pod(), namespace=namespace)
    assert are_ours(read_pod(after), statements_of(after))


@pytest.mark.parametrize("foreign", [{EXACT: "0123456789abcdef"}, {COARSE: "0123456789abcdef"}])
def test_labels_that_another_version_or_somebody_else_wrote_are_not_ours(foreign):
    pod = a_pod(labels={COARSE: "0123456789abcdef", **foreign})
    assert not are_ours(read_pod(pod), statements_of(pod))


def test_the_table_for_people_tells_the_labels():
    texts = [line.text for line in table(decide_pod(a_pod(), config=LEARNS)) if hasattr(line, "text")]
    assert f"labels the pod {COARSE}={computed(a_pod())[0]}" in texts
    stale = a_pod(labels={COARSE: "x", "gracekeeper.dev/workload": "none"})
    texts = [line.text for line in table(decide_pod(stale, config=LEARNS)) if hasattr(line, "text")]
    assert f"removes label {COARSE}" in texts


@pytest.fixture(params=golden.names())
def case(request) -> golden.Case:
    return golden.load(request.param)


def test_every_training_pod_of_the_cases_is_labelled_the_same_by_a_second_pass(case):
    decision = case.decide()
    patch = operations(case.pod, decision)
    after = jsonpatch.apply_patch(case.pod, patch)
    labels = (after["metadata"].get("labels") or {}).keys()
    trains = decision.outcome.is_of_training_pod and decision.mode is Mode.ENFORCE
    assert ({COARSE, EXACT} <= labels) is trains
    assert operations(after, case.decide(after)) == []
    assert are_ours(read_pod(after), case.look(after).statements) is trains


def test_without_the_observer_the_patch_is_the_golden_one_but_for_the_labels(case):
    """Learning adds the two labels and nothing else; tests/test_automatic.py compares what is left with 0.1.0."""
    patch = golden.readable(operations(case.pod, case.without_observer().decide()))
    assert patch == list(without_workload_labels(case.golden()))


def without_workload_labels(patch):
    """Yield the operations of a patch but those that write the labels of a workload."""
    for operation in patch:
        if operation["path"] == "/metadata/labels":
            assert operation["value"].keys() <= {COARSE, EXACT}
        elif not operation["path"].startswith("/metadata/labels/gracekeeper.dev~1workload-"):
            yield operation
