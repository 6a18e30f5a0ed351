"""GK301: PodDisruptionBudgets and pods in, findings out."""

import json
import shlex

import pytest

from tests.doctor.objects import ML, findings_of, trainer

LABELS = {"training.kubeflow.org/job-name": "llama"}


def budget(allowed=0, expected=1, selector=None, namespace=ML, **spec):
    selector = {"matchLabels": LABELS} if selector is None else selector
    return {
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "keep", "namespace": namespace},
        "spec": {"selector": selector, **spec},
        "status": {"disruptionsAllowed": allowed, "expectedPods": expected},
    }


@pytest.mark.parametrize(
    ("given", "severities"),
    [
        (budget(maxUnavailable=0), ["warning"]),
        (budget(maxUnavailable="0%"), ["warning"]),
        (budget(minAvailable="100%"), ["warning"]),
        (budget(minAvailable=1), ["warning"]),
        (budget(minAvailable=2, expected=3), ["info"]),  # a pod is not ready
        (budget(minAvailable=2, expected=3, allowed=1), []),
        (budget(maxUnavailable=1, allowed=1), []),
        (budget(maxUnavailable=0, namespace="web"), []),
        (budget(maxUnavailable=0, selector={"matchLabels": {"app": "web"}}), []),
        (budget(maxUnavailable=0, selector={}), ["warning"]),  # all pods
    ],
)
def test_a_budget_that_lets_no_training_pod_go_is_a_warning(given, severities):
    findings = findings_of("GK301", given, trainer("a"))
    assert [each.severity for each in findings] == severities
    assert all(each.pods == ("ml/a",) and "up to 782 s" in each.sentence for each in findings)


def test_a_budget_without_a_selector_selects_no_pod():
    without = budget(maxUnavailable=0)
    del without["spec"]["selector"]
    assert findings_of("GK301", without, trainer("a")) == []


def test_its_patch_lets_one_pod_go_at_a_time():
    [finding] = findings_of("GK301", budget(minAvailable="100%"), trainer("a"))
    words = shlex.split(finding.cure.command)
    assert words[:6] == ["kubectl", "patch", "poddisruptionbudget", "keep", "-n", "ml"]
    assert json.loads(words[-1]) == {"spec": {"maxUnavailable": 1, "minAvailable": None}}
    assert finding.evidence[0].value == "(not set), 100%, 0"
