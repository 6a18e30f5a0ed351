"""GK202: Assign and ModifySet of Gatekeeper, pods and the probe's answers in, findings out."""

import json
import shlex

import pytest

from tests.doctor.mutators import NAMESPACE, answer
from tests.doctor.objects import findings_of, losses, trainer


def mutation(location="spec.terminationGracePeriodSeconds", kind="Assign", value=40, **match):
    spec = {"location": location, "match": match, "parameters": {"assign": {"value": value}}}
    return {"kind": kind, "metadata": {"name": "cap"}, "spec": spec}


def test_an_assign_with_the_probes_number_is_named():
    [finding] = findings_of("GK202", mutation(), answer(40), trainer("a"))
    assert (finding.severity, finding.subject, losses(finding)) == ("error", "Gatekeeper Assign cap", {"a": 742})


def test_without_a_probe_it_may_be():
    [finding] = findings_of("GK202", mutation(), trainer("a"))
    assert (finding.severity, losses(finding)) == ("warning", {"a": 742})


def test_its_patch_keeps_the_namespaces_that_are_excluded_already():
    [finding] = findings_of("GK202", mutation(excludedNamespaces=["kube-system"]), trainer("a"))
    words = shlex.split(finding.cure.command)
    assert words[:4] == ["kubectl", "patch", "assign.mutations.gatekeeper.sh", "cap"]
    assert json.loads(words[-1]) == {"spec": {"match": {"excludedNamespaces": ["kube-system", "ml"]}}}


@pytest.mark.parametrize(
    "match",
    [{"excludedNamespaces": ["ml"]}, {"namespaces": ["web"]}, {"namespaceSelector": {"matchLabels": {"team": "web"}}}],
    ids=lambda match: next(iter(match)),
)
def test_a_mutation_of_other_namespaces_is_no_finding(match):
    assert findings_of("GK202", mutation(**match), NAMESPACE, trainer("a")) == []


@pytest.mark.parametrize(
    ("mutations", "answers", "severities"),
    [
        ([mutation("spec.initContainers[name:*].restartPolicy")], [answer(restart_policy=None)], ["warning"]),
        ([mutation("spec.initContainers", "ModifySet")], [], ["warning"]),
        ([mutation("spec.initContainers", "ModifySet")], [answer()], ["info"]),
        ([mutation("spec.initContainers[name:*].image")], [], []),
        ([mutation("spec.containers[name:*].image")], [], []),
    ],
)
def test_init_containers_may_lose_what_makes_them_sidecars(mutations, answers, severities):
    findings = findings_of("GK202", *mutations, *answers, trainer("a"))
    assert [each.severity for each in findings] == severities
