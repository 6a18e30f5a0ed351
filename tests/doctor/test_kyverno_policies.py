"""GK201: policies of Kyverno, pods and the probe's answers in, findings out."""

import json
import shlex

import pytest

from tests.doctor.mutators import answer
from tests.doctor.objects import findings_of, losses, trainer

EXEMPT = {"resources": {"kinds": ["Pod"], "namespaces": ["ml"]}}


def policy(kind="ClusterPolicy", namespace=None, seconds=50, **rule):
    """As the sample `mutate-termination-grace-period-seconds` of kyverno/policies."""
    set_grace = {
        "name": "grace",
        "match": {"any": [{"resources": {"kinds": ["Pod"]}}]},
        "preconditions": {"all": [{"key": "{{request.object.spec.terminationGracePeriodSeconds || `0`}}", "value": 9}]},
        "mutate": {"patchStrategicMerge": {"spec": {"terminationGracePeriodSeconds": seconds}}},
        **rule,
    }
    metadata = {"name": "cap"} if namespace is None else {"name": "cap", "namespace": namespace}
    return {"kind": kind, "metadata": metadata, "spec": {"rules": [{"name": "labels", "mutate": {}}, set_grace]}}


def test_a_policy_with_the_probes_number_is_named():
    [finding] = findings_of("GK201", policy(), answer(50), trainer("a"))
    assert (finding.severity, finding.subject, losses(finding)) == ("error", "Kyverno ClusterPolicy cap", {"a": 732})
    assert finding.evidence[0].value == "50 s"


def test_its_patch_leaves_out_the_namespaces_where_training_runs():
    [finding] = findings_of("GK201", policy(), trainer("a"))
    words = shlex.split(finding.cure.command)
    assert words[:4] == ["kubectl", "patch", "clusterpolicies.kyverno.io", "cap"]
    assert json.loads(words[-1]) == [{"op": "add", "path": "/spec/rules/1/exclude", "value": {"any": [EXEMPT]}}]
    assert findings_of("GK201", policy(exclude={"any": [EXEMPT]}), trainer("a")) == []


@pytest.mark.parametrize(
    ("exclude", "command"),
    [
        ({"any": [{"resources": {"names": ["x"]}}]}, "/spec/rules/1/exclude/any/-"),
        ({"all": [{"resources": {"names": ["x"]}}]}, "kubectl edit clusterpolicies.kyverno.io cap"),
    ],
)
def test_an_exclude_that_is_there_is_kept(exclude, command):
    [finding] = findings_of("GK201", policy(exclude=exclude), trainer("a"))
    assert command in finding.cure.command


@pytest.mark.parametrize(("namespace", "count"), [("ml", 1), ("web", 0)])
def test_a_policy_of_a_namespace_counts_there_only(namespace, count):
    findings = findings_of("GK201", policy("Policy", namespace), trainer("a"))
    assert [each.subject for each in findings] == [f"Kyverno Policy {namespace}/cap"] * count


def test_a_mutating_policy_is_read_as_well():
    expression = "Object{spec: Object.spec{terminationGracePeriodSeconds: 40}}"
    mutating = {
        "kind": "MutatingPolicy",
        "metadata": {"name": "cap"},
        "spec": {"mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}]},
    }
    [finding] = findings_of("GK201", mutating, answer(40), trainer("a"))
    assert (finding.severity, losses(finding)) == ("error", {"a": 742})
    assert finding.cure.command.startswith("kubectl patch mutatingpolicies.policies.kyverno.io cap --type json")


def test_a_policy_of_other_fields_is_no_finding():
    assert findings_of("GK201", policy(mutate={"patchStrategicMerge": {"spec": {}}}), trainer("a")) == []
