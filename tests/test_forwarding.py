"""forward-sigterm where a golden case would say little."""

import copy
from dataclasses import replace

import jsonpatch
import pytest

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
    assert patched["spec"]["containers"][0]["command"][:4] == [
        "/gracekeeper/bin/supervise",
        "forward",
        "--grace",
        "251",
    ]
    assert case.decide(patched).notes == ()


def options_of(annotations, container):
    """The options of `supervise forward` in the pod that the API server gets."""
    case = golden.load("forward-sigterm")
    pod = copy.deepcopy(case.pod)
    pod["metadata"]["annotations"] |= {f"gracekeeper.dev/{key}": value for key, value in annotations.items()}
    pod["spec"]["containers"][0] |= container
    patched = jsonpatch.apply_patch(pod, operations(pod, case.decide(pod)))
    command = patched["spec"]["containers"][0]["command"]
    return command[2 : command.index("--")]


def test_given_keys_for_the_signal_when_the_trainer_is_wrapped_then_supervise_gets_them():
    keys = {"forward-signal": "SIGUSR1", "interrupted-code": "0", "stall-seconds": "120"}
    options = options_of(keys, {})
    assert options[-6:] == ["--signal", "SIGUSR1", "--interrupted-code", "0", "--stall-seconds", "120"]


def test_given_a_pre_stop_sleep_when_the_trainer_is_wrapped_then_it_has_the_rest_of_the_grace():
    options = options_of({}, {"lifecycle": {"preStop": {"sleep": {"seconds": 20}}}})
    grace_seconds = int(options[options.index("--grace") + 1])
    assert grace_seconds == 251


def test_given_a_termination_message_of_its_own_when_wrapped_then_the_line_goes_there_and_never_in_place_of_logs():
    assert options_of({}, {"terminationMessagePath": "/tmp/end"})[2:] == ["--termination-log", "/tmp/end"]
    assert "--termination-log" not in options_of({}, {"terminationMessagePolicy": "FallbackToLogsOnError"})


@pytest.mark.parametrize(
    ("key", "value"), [("forward-signal", "SIGKILL"), ("interrupted-code", "256"), ("stall-seconds", "0")]
)
def test_given_a_value_that_cannot_be_when_the_trainer_is_wrapped_then_it_is_ignored_and_said(key, value):
    case = golden.load("forward-sigterm")
    pod = copy.deepcopy(case.pod)
    pod["metadata"]["annotations"][f"gracekeeper.dev/{key}"] = value
    decision = case.decide(pod)
    assert [ignored.key for ignored in decision.ignored] == [key]
    assert decision.changes is not None


def limit_range(**bounds):
    """A LimitRange of containers."""
    return {"metadata": {"name": "small"}, "spec": {"limits": [{"type": "Container", **bounds}]}}


@pytest.mark.parametrize(
    ("bounds", "wrapped"),
    [
        ({"max": {"cpu": "20m"}}, False),
        ({"max": {"memory": "16Mi"}}, False),
        ({"max": {"cpu": "50m", "memory": "32Mi"}}, True),
        ({"max": {"nvidia.com/gpu": "8"}}, True),
        ({"min": {"cpu": "100m"}, "maxLimitRequestRatio": {"cpu": "1"}}, True),
    ],
)
def test_given_a_limit_range_that_refuses_the_container_that_is_added_then_the_pod_is_left_as_it_is(bounds, wrapped):
    case = golden.load("forward-sigterm")
    facts = replace(case.facts, limit_ranges=(limit_range(**bounds),))
    decision = decide_pod(case.pod, facts, case.config, case.namespace.name)
    assert (decision.changes is not None) is wrapped
    if not wrapped:
        [name] = bounds["max"]
        assert decision.notes[-1] == f"forward-sigterm: LimitRange small allows no container with so much {name}"


def test_given_a_best_effort_pod_when_a_limit_range_has_a_maximum_then_nothing_is_added_that_it_could_refuse():
    case = golden.load("forward-sigterm-best-effort")
    facts = replace(case.facts, limit_ranges=(limit_range(max={"cpu": "20m"}),))
    assert decide_pod(case.pod, facts, case.config, case.namespace.name).changes is not None
