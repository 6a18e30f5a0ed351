"""GK205: webhook configurations, policies and the probe's answers in, findings out."""

import json
import shlex

import pytest

from tests.doctor.mutators import NAMESPACE, answer, ours, webhook
from tests.doctor.objects import Json, findings_of, lists_of, trainer
from tests.doctor.test_mutating_admission_policies import policy
from webhook.doctor.examination import examined
from webhook.doctor.finding import Finding
from webhook.doctor.table import chosen
from webhook.policy.configuration import Config

NO_POLICIES: dict[str, list[Json]] = {
    kind: [] for kind in ("MutatingAdmissionPolicy", "MutatingPolicy", "ClusterPolicy", "Policy", "Assign")
}


def found_in(*objects: Json) -> list[Finding]:
    """What is found where all policies are known."""
    return list(examined(NO_POLICIES | lists_of(*objects), {}, Config(), list(chosen(["GK205"], ()))).findings)


def test_the_only_webhook_behind_gracekeeper_has_stripped_the_sidecar():
    # given a webhook behind gracekeeper and one before it, and a probe whose sidecar is none any more
    stripped = answer(restart_policy=None)
    [finding] = found_in(ours(), webhook("z-stripper"), webhook("a-first"), stripped, trainer("a"))
    # then the one behind is named, with the pods that it sees and a patch
    assert (finding.severity, finding.subject, finding.pods) == ("error", "webhook z-stripper/w.example", ("ml/a",))
    assert "is called after gracekeeper: the probe shows that a native sidecar loses its" in finding.sentence
    assert "nobody else can have done it" in finding.sentence
    words = shlex.split(finding.cure.command)
    assert words[:4] == ["kubectl", "patch", "mutatingwebhookconfiguration", "z-stripper"]
    [operation] = json.loads(words[-1])
    assert operation["path"] == "/webhooks/0/matchConditions"
    cured = webhook("z-stripper", matchConditions=operation["value"])
    assert found_in(ours(), cured, stripped, trainer("a")) == []


def test_one_of_several_may_have_done_it():
    findings = found_in(ours(), webhook("x"), webhook("y"), answer(50), trainer("a"))
    assert [each.severity for each in findings] == ["warning", "warning"]
    assert "one of 2 webhooks that can have done it" in findings[0].sentence


def test_a_webhook_before_gracekeeper_counts_where_it_is_called_again():
    findings = found_in(ours(), webhook("a", reinvocationPolicy="IfNeeded"), answer(50), trainer("a"))
    assert ["called before gracekeeper, and again after it" in each.sentence for each in findings] == [True]


def test_a_grace_that_a_policy_sets_is_not_blamed_on_a_webhook():
    [finding] = found_in(ours(), webhook("z"), policy(), answer(50), trainer("a"))
    assert (finding.severity, finding.pods) == ("info", ())


@pytest.mark.parametrize("computed", [True, False])
def test_where_a_policy_may_have_done_it_no_webhook_is_sure(computed):
    # given a policy that computes the grace, or policies that nobody looked at
    objects = [ours(), webhook("z"), answer(77), trainer("a")]
    if computed:
        findings = found_in(
            *objects, policy("Object{spec: Object.spec{terminationGracePeriodSeconds: variables.most}}")
        )
    else:
        findings = findings_of("GK205", *objects)
    assert [each.severity for each in findings] == ["warning"]


def test_without_an_effect_it_is_for_those_who_want_to_know():
    [finding] = found_in(ours(), webhook("z"), trainer("a"))
    assert (finding.severity, finding.cure.command) == ("info", "gracekeeper doctor --probe ml")
    [probed] = found_in(ours(), webhook("z"), answer(), trainer("a"))
    assert "the probe shows that it leaves" in probed.sentence


@pytest.mark.parametrize(
    "other",
    [
        webhook("z", rules=[{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["*"]}]),
        webhook(
            "z", rules=[{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["pods"]}]
        ),
        webhook(
            "z", rules=[{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["pods/exec"]}]
        ),
        webhook("z", namespaceSelector={"matchExpressions": [{"key": "team", "operator": "Exists"}]}),
        webhook("z", namespaceSelector={"matchExpressions": [{"key": "team", "operator": "In", "values": ["a"]}]}),
        webhook(
            "z",
            namespaceSelector={
                "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["ml"]}]
            },
        ),
        webhook(
            "z",
            namespaceSelector={
                "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "DoesNotExist"}]
            },
        ),
    ],
    ids=["deployments", "updates", "exec", "other namespaces", "no such label", "not this one", "no label"],
)
def test_a_webhook_that_sees_no_new_training_pod_is_no_finding(other):
    assert found_in(ours(), other, NAMESPACE, answer(50), trainer("a")) == []


@pytest.mark.parametrize(
    "rule",
    [
        {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"], "scope": "*"},
        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods/*"]},
    ],
)
def test_rules_may_name_pods_with_a_star(rule):
    assert len(found_in(ours(), webhook("z", rules=[rule]), trainer("a"))) == 1
