"""`compatibility: "0.1.0"`: what that version gave, recorded from its code (commit 1c20d78) on every case that there was then or is now."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests import golden
from tests.policy_calls import decide_pod
from webhook.config.fields import load_config
from webhook.policy.configuration import Compatibility, Config, ForwardSigterm, Observer

RECORDED = json.loads((Path(__file__).parent / "recorded" / "graces-of-0.1.0.json").read_text())
OTHERWISE = {
    "kind-volcano-writers": "the file tells the number of pods that write",
    "osmo-outputs-of-measurements": "one measured file is no upload of a checkpoint",
    "upload-container-without-upload-size": "upload-container is new",
    "volume-inline-in-the-node-s-memory": "an inline volume names its driver",
    "volume-inline-of-azure": "an inline volume names its driver",
    "volume-of-another-namespace": "a volume counts only where it is bound to that very claim",
    "writers-all-jobset-of-indexed-jobs": "the number of pods of each Job is read",
}
"""Pods whose owner states a size: how the seconds are reckoned is mended, and nothing keeps a fault."""
CHANGED = {
    "kind-elasticjob",
    "kind-jobset-server",
    "kind-trainjob-initializer",
    "size-unknown-empty-variable",
    "trains-by-itself",
    "trains-by-itself-by-a-dra-claim",
    "trains-by-itself-by-an-argument",
    "trains-by-itself-in-a-job",
}
"""Of which nobody says anything, and which this version treats otherwise."""


def seconds_and_outcome(decision):
    return {"outcome": str(decision.outcome), "grace": decision.grace_seconds}


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_given_the_compatibility_then_a_pod_gets_what_0_1_0_gave_it(name):
    case = golden.load(name)
    decision = replace(case, config=case.config.as_in_0_1_0()).decide()
    assert (seconds_and_outcome(decision) == RECORDED[name]) is (name not in OTHERWISE)
    assert not decision.labels


def test_what_this_version_changes_is_what_this_file_says():
    changed = {name for name in RECORDED if seconds_and_outcome(golden.load(name).decide()) != RECORDED[name]}
    assert changed == CHANGED | OTHERWISE.keys()


def test_every_recorded_case_is_still_there():
    assert len(RECORDED) > 300
    assert set(RECORDED) <= set(golden.names())


@pytest.mark.parametrize("said", ["auto", None])
def test_nothing_is_learned_and_nothing_is_wrapped_unasked(said):
    document = {"compatibility": "0.1.0", "observer": {"enabled": True, "minimumRunSeconds": 5}}
    config = load_config(document if said is None else {**document, "forwardSigterm": said})
    assert (config.compatibility, config.forward_sigterm) == (Compatibility.V0_1_0, ForwardSigterm.NO)
    assert config.observer == Observer(enabled=False, minimum_run_seconds=5)


def test_what_the_admin_states_about_the_start_holds():
    assert load_config({"compatibility": "0.1.0", "forwardSigterm": "true"}).forward_sigterm is ForwardSigterm.YES


@pytest.mark.parametrize(
    ("owner", "trains"),
    [
        ({"apiVersion": "flyte.org/v1", "kind": "TaskAction"}, False),
        ({"apiVersion": "flyte.lyft.com/v1alpha1", "kind": "flyteworkflow"}, False),
        ({"apiVersion": "workflow.osmo.nvidia.com/v1", "kind": "OSMOTaskGroup"}, False),
        ({"apiVersion": "elastic.pytorch.org/v1alpha1", "kind": "ElasticJob"}, False),
        ({"apiVersion": "batch/v1", "kind": "Job"}, True),
        ({"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob"}, True),
    ],
)
def test_owners_that_later_versions_know_are_not_known(owner, trains):
    container = {"name": "t", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    pod = {
        "metadata": {"ownerReferences": [{**owner, "name": "o", "controller": True}]},
        "spec": {"containers": [container]},
    }
    decision = decide_pod(pod, config=Config().as_in_0_1_0())
    assert decision.outcome.is_of_training_pod is trains
    assert decide_pod(pod).outcome.is_of_training_pod
