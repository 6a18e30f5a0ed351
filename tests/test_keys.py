"""What is said about a pod, where a golden case would say little."""

import pytest

from tests.policy_calls import decide_pod, statements_of
from webhook.policy.configuration import Config, Match, Profile
from webhook.policy.decision import Outcome
from webhook.policy.facts import Facts
from webhook.policy.statements import keys


def a_pod(**annotations):
    prefixed = {f"gracekeeper.dev/{name.replace('_', '-')}": value for name, value in annotations.items()}
    return {"metadata": {"annotations": prefixed}, "spec": {"containers": [{"name": "a"}]}}


@pytest.mark.parametrize("mode", ["native", "container", "grace-only", "off"])
def test_an_osmo_mode_is_read(mode):
    statements = statements_of(a_pod(osmo_mode=mode))
    assert [stated.value for stated in statements.by_key["osmo-mode"]] == [mode]


@pytest.mark.parametrize(
    ("annotations", "why"),
    [
        ({"osmo_mode": "sidecar"}, "not an OSMO mode"),
        ({"checkpoint_volume": ""}, "empty"),
        ({"forward_sigterm": "TRUE"}, "neither true, false nor auto"),
        ({"grace_seconds": 900}, "not a string, quote it"),
        ({"no_such_thing_at_all": "1"}, "no such key"),
    ],
)
def test_a_value_that_cannot_be_read_is_ignored_with_the_reason(annotations, why):
    statements = statements_of(a_pod(**annotations))
    assert statements.by_key == {}
    assert [why in str(passed) for passed in statements.ignored] == [True]


@pytest.mark.parametrize("key", keys.KEYS.values(), ids=list(keys.KEYS))
def test_every_key_reads_its_own_example_and_the_example_is_legal_as_a_label(key):
    key.read(key.example)
    assert key.example.replace(".", "").replace("-", "").isalnum()
    assert key.variable.startswith("GRACEKEEPER_")


def test_of_a_variable_set_twice_the_last_counts_as_in_the_container_and_the_server_s_own_settings_are_no_keys():
    pod = {
        "metadata": {},
        "spec": {
            "containers": [
                {
                    "name": "a",
                    "env": [
                        {"name": "GRACEKEEPER_CHECKPOINT_SIZE", "value": "1GB"},
                        {"name": "GRACEKEEPER_CHECKPOINT_SIZE", "value": "2GB"},
                        {"name": "GRACEKEEPER_SERVER_PORT", "value": "1"},
                    ],
                }
            ]
        },
    }
    statements = statements_of(pod)
    assert [stated.value for stated in statements.by_key["checkpoint-size"]] == [2e9]
    assert statements.ignored == ()


def test_a_claim_whose_capacity_cannot_be_read_says_nothing_about_its_iops():
    pod = a_pod(checkpoint_size="9.2GB")
    pod["spec"]["volumes"] = [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]
    claim = {
        "metadata": {"name": "c"},
        "spec": {"storageClassName": "gp3", "resources": {"requests": {"storage": "much"}}},
    }
    gp3 = {"provisioner": "ebs.csi.aws.com", "parameters": {"throughput": "2000", "iopsPerGB": "50"}}
    facts = Facts(claims={"c": claim}, storage_classes={"gp3": gp3})
    decision = decide_pod(pod, facts, Config(), "n")
    assert "capped by 3000 IOPS" in next(term.source for term in decision.terms if term.name == "write-throughput")


def test_a_profile_matches_by_the_kind_of_the_owner():
    pod = a_pod()
    pod["metadata"]["ownerReferences"] = [{"apiVersion": "example.com/v1", "kind": "Experiment", "controller": True}]
    profile = Profile("ours", Match(owner_kinds=("Experiment",)), enabled=True)
    assert decide_pod(pod, Facts(), Config(profiles=(profile,)), "n").outcome is Outcome.PATCHED


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_a_sentence_for_people(outcome):
    assert " " in outcome.sentence
