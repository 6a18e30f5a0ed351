"""forward-sigterm where a golden case would say little."""

from dataclasses import replace

import jsonpatch

from tests import golden
from tests.policy_calls import decide_pod
from webhook.policy.patch import operations


def test_given_bounds_of_the_namespace_are_not_known_when_forwarding_is_wanted_then_the_pod_runs_as_it_is_and_says_why():
    case = golden.load("forward-sigterm")
    decision = decide_pod(case.pod, replace(case.facts, limit_ranges=None), case.config, case.namespace.name)
    assert decision.changes is None
    assert decision.notes == ("forward-sigterm: the namespace's LimitRanges are not known",)


def test_given_a_pod_that_forwards_when_we_are_asked_again_then_the_shell_is_no_longer_complained_about():
    case = golden.load("forward-sigterm")
    patched = jsonpatch.apply_patch(case.pod, operations(case.pod, case.decide()))
    assert patched["spec"]["containers"][0]["command"][:3] == ["/gracekeeper/bin/supervise", "forward", "--"]
    assert case.decide(patched).notes == ()
