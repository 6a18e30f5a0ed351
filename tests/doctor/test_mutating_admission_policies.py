"""GK203: MutatingAdmissionPolicies, bindings, pods and the probe's answers in, findings out."""

import json
import shlex

import pytest

from tests.doctor.mutators import NAMESPACE, PATCH, answer
from tests.doctor.objects import findings_of, losses, report_on, trainer
from webhook.doctor.finding import UnseenReason
from webhook.doctor.lists import KindUnseen


def policy(expression=PATCH, name="cap", **spec):
    mutations = [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}]
    return {"kind": "MutatingAdmissionPolicy", "metadata": {"name": name}, "spec": {"mutations": mutations, **spec}}


def binding(name="cap"):
    spec = {"policyName": name}
    return {"kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": f"{name}-everywhere"}, "spec": spec}


def test_the_probe_proves_that_it_is_the_policy_with_that_number():
    # given a policy that sets 50 s, and a probe that came back with 50 s
    [finding] = findings_of("GK203", policy(), binding(), answer(50), trainer("a"))
    # then it is named, with the pods that lose and the patch
    assert (finding.severity, finding.subject, losses(finding)) == ("error", "MutatingAdmissionPolicy cap", {"a": 732})
    assert finding.sentence == (
        "MutatingAdmissionPolicy cap sets the grace of pods to 50 s: "
        "the probe in namespace ml asked for 902 s and got 50 s."
    )


def test_a_pod_that_has_less_than_gracekeeper_gave_it_proves_it_as_well():
    decision = json.dumps({"mode": "enforce", "grace": 782})
    cut = trainer("a", grace=50, metadata={"annotations": {"gracekeeper.dev/decision": decision}})
    [finding] = findings_of("GK203", policy(), binding(), cut)
    assert (finding.severity, losses(finding)) == ("error", {"a": 732})
    assert "gracekeeper gave pod ml/a 782 s, and it has 50 s" in finding.sentence


def test_a_grace_that_the_owner_chose_proves_it_too():
    # given gracekeeper, which has the last word on a pod that asks it for a grace, and not on any other
    given = answer()
    given["ownersPod"] = {"spec": {"terminationGracePeriodSeconds": 50}}
    [finding] = findings_of("GK203", policy(), binding(), given, trainer("a"))
    assert (finding.severity, losses(finding)) == ("error", {"a": 732})
    assert "the probe in namespace ml came with 601 s of its owner and got 50 s" in finding.sentence


def test_another_number_than_the_probes_may_still_be_a_policys():
    [finding] = findings_of("GK203", policy(), binding(), answer(40), trainer("a"))
    assert finding.severity == "warning"
    assert "shows another number" in finding.sentence


def test_without_a_proof_it_may_be():
    [finding] = findings_of("GK203", policy(), binding(), trainer("a"))
    assert (finding.severity, losses(finding)) == ("warning", {"a": 732})
    assert "may set the grace of pods to 50 s" in finding.sentence


@pytest.mark.parametrize(
    ("objects", "severity"),
    [
        ([answer(), trainer("a")], "info"),  # the probe kept its grace
        ([answer(40), trainer("a")], "warning"),  # another number
        ([answer(namespace="other"), trainer("a")], "warning"),  # ml was not probed
        ([], "info"),  # nobody trains
        ([answer(50)], "error"),  # nobody trains yet, and the probe was cut
    ],
)
def test_the_probe_decides(objects, severity):
    assert [each.severity for each in findings_of("GK203", policy(), binding(), *objects)] == [severity]


def test_a_number_that_is_computed_may_explain_every_effect():
    computed = policy("Object{spec: Object.spec{terminationGracePeriodSeconds: variables.most}}")
    [finding] = findings_of("GK203", computed, binding(), answer(77), trainer("a"))
    assert (finding.severity, losses(finding)) == ("warning", {"a": 705})
    assert "may be what sets the grace" in finding.sentence


@pytest.mark.parametrize(
    "objects",
    [
        [policy()],  # not bound
        [policy("Object{metadata: Object.metadata{}}"), binding()],
        [policy(matchConstraints={"namespaceSelector": {"matchLabels": {"team": "web"}}}), binding()],
    ],
    ids=["not bound", "no grace", "other namespaces"],
)
def test_a_policy_that_does_not_set_the_grace_of_training_pods_is_no_finding(objects):
    assert findings_of("GK203", *objects, NAMESPACE, trainer("a")) == []


def test_bindings_that_are_not_known_do_not_clear_a_policy():
    unseen = {"MutatingAdmissionPolicyBinding": KindUnseen(UnseenReason.FORBIDDEN)}
    report = report_on(policy(), trainer("a"), only="GK203", unseen=unseen)
    assert [each.severity for each in report.findings] == ["warning"]


@pytest.mark.parametrize(
    ("conditions", "path"),
    [(None, "/spec/matchConditions"), ([{"name": "x", "expression": "true"}], "/spec/matchConditions/-")],
)
def test_the_patch_exempts_the_namespaces_where_training_runs(conditions, path):
    [finding] = findings_of("GK203", policy(matchConditions=conditions), binding(), answer(50))
    words = shlex.split(finding.cure.command)
    assert words[:4] == ["kubectl", "patch", "mutatingadmissionpolicy", "cap"]
    [operation] = json.loads(words[words.index("-p") + 1])
    assert operation["path"] == path
    assert [each["expression"] for each in conditions_of(operation)] == ['!(request.namespace in ["ml"])']
    cured = policy(matchConditions=[*(conditions or ()), *conditions_of(operation)])
    assert findings_of("GK203", cured, binding(), trainer("a")) == []


def conditions_of(operation):
    return operation["value"] if isinstance(operation["value"], list) else [operation["value"]]
