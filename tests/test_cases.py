"""Every golden case, each from several sides; a folder that is added is a case that runs."""

import copy
from dataclasses import replace
from typing import Any

import celpy
import jsonpatch
import pytest
from celpy.adapter import json_to_cel

from tests import golden, webhook_server
from webhook.policy.door import decide
from webhook.policy.patch import operations
from webhook.policy.recognition.match_condition import match_condition
from webhook.policy.report import warnings

_AT_LEAST = 40


@pytest.fixture(params=golden.names())
def case(request) -> golden.Case:
    return golden.load(request.param)


@pytest.fixture(scope="session")
def condition() -> celpy.Runner:
    environment = celpy.Environment()
    return environment.program(environment.compile(match_condition()))


@pytest.fixture(scope="session")
def server():
    with webhook_server.running() as server:
        yield server


def matches(condition: celpy.Runner, pod: dict[str, Any]) -> bool:
    """Whether the API server would call the webhook; it sees the pod without its nulls."""
    return bool(condition.evaluate({"object": json_to_cel(without_nulls(pod))}))


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


def variables_of(pod: dict[str, Any]) -> dict[str, str]:
    return {e["name"]: e.get("value", "") for c in pod["spec"]["containers"] for e in c.get("env") or ()}


def test_there_are_enough_cases():
    assert len(golden.names()) >= _AT_LEAST


def test_a_fact_that_is_not_looked_up_does_not_change_the_decision(case):
    decision = decide(case.look(), case.everything)
    assert replace(decision, missing=(), annotation=None) == replace(case.decide(), missing=(), annotation=None)


def test_the_decision_is_the_one_that_was_computed_by_hand(case):
    decision = case.decide()
    assert decision.outcome == case.expect["outcome"]
    assert decision.grace_seconds == case.expect.get("grace")
    if "warning" in case.expect:
        assert any(case.expect["warning"] in warning for warning in warnings(decision))
    else:
        assert not warnings(decision)
    assert all(len(warning) <= 120 for warning in warnings(decision))


def test_the_patch_is_the_golden_one_and_gives_the_pod_its_grace(case):
    patch = operations(case.pod, case.decide())
    assert golden.readable(patch) == case.golden()
    patched = jsonpatch.apply_patch(case.pod, patch)
    if case.expect["outcome"] == "patched" and "grace" in case.expect:
        assert patched["spec"]["terminationGracePeriodSeconds"] == case.expect["grace"]
        assert case.expect.get("variable", {}).items() <= variables_of(patched).items()
    elif case.expect["outcome"] != "patched":
        assert patched["spec"] == case.pod["spec"]


def test_a_second_pass_over_the_patched_pod_changes_nothing(case):
    patched = jsonpatch.apply_patch(case.pod, operations(case.pod, case.decide()))
    assert operations(patched, case.decide(patched)) == []


def test_the_pod_that_came_in_is_not_modified(case):
    before = copy.deepcopy(case.pod)
    operations(case.pod, case.decide())
    assert case.pod == before


def test_the_answer_over_https_is_the_golden_patch_with_what_the_decision_tells(case, server):
    server.config, server.facts, server.namespace = case.config, case.facts, case.namespace
    answer = server.post(webhook_server.review(case.pod, namespace=case.namespace.name))
    assert golden.readable(answer.patch) == case.golden()
    assert answer.response.get("warnings", []) == list(warnings(case.decide()))
    audit_annotations = answer.response["auditAnnotations"]
    assert audit_annotations["outcome"] == case.expect["outcome"]
    assert audit_annotations.get("grace-seconds") == (str(case.expect["grace"]) if "grace" in case.expect else None)


def test_the_api_server_asks_about_every_pod_that_the_policy_would_act_on(case, condition):
    is_matched = matches(condition, case.pod)
    decision = case.decide()
    by_other_means = decision.because.startswith(("the Namespace is labelled", "profile"))
    if case.look().recognition.trains and not by_other_means:
        assert is_matched
    if "asked" in case.expect:
        assert is_matched is case.expect["asked"]
