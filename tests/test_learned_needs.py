"""What a pod gets whose workload was seen before: the numbers of earlier runs, beside what its owner and the admin say."""

from dataclasses import replace

import jsonpatch
import pytest

from tests.policy_calls import decide_pod, look_at
from tests.test_automatic import CONFIG as WITH_SUPERVISE
from tests.test_automatic import READY
from webhook.policy.configuration import Config, Match, Observer, Profile
from webhook.policy.facts import Facts
from webhook.policy.observed.memory import Lesson, Sample
from webhook.policy.patch import operations
from webhook.policy.prefix import EXACT_WORKLOAD_LABEL, WORKLOAD_LABEL

CONFIG = Config()
LABELS = {"training.kubeflow.org/job-name": "j"}
CUT = Sample(0, 30, 30, Lesson.CUT)
STOPS = tuple(Sample(day, 40 + day, 600, Lesson.STOPPED) for day in range(1, 4))
"""Three runs that stopped in time, the longest in 43 s: 80 s with room."""
FAST_ENDS = (Sample(1, 0, 600, Lesson.NO_HANDLER), Sample(2, 0, 600, Lesson.NO_HANDLER))
SAVES = [{"name": "CHECKPOINT_DIR", "value": "/ckpt"}]
"""A sign that it saves, for which it gets the default of 600 s."""


def a_pod(command=("python", "train.py"), *, env=(), grace=30, **metadata):
    container = {"name": "trainer", "image": "x", "command": list(command), "env": list(env)}
    return {
        "metadata": {"labels": dict(LABELS), **metadata},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": grace},
    }


def decided(pod, *runs, config=CONFIG, namespace=None, facts=None):
    return decide_pod(pod, facts or Facts(exact_runs=runs), config, namespace=namespace)


def observed(decision):
    return next((term.source for term in decision.terms if term.name == "observed"), None)


def test_given_a_run_that_was_cut_when_nobody_tells_the_size_then_the_next_gets_the_default():
    decision = decided(a_pod(), CUT)
    assert (decision.outcome, decision.grace_seconds) == ("patched", 600)
    assert observed(decision) == "1 run cut in 30 days"


def test_given_three_stops_then_a_default_that_nobody_stated_goes_down_by_the_exact_name_alone():
    pod = a_pod(env=SAVES)
    assert decided(pod).grace_seconds == 600
    exact = decided(pod, *STOPS)
    assert (exact.grace_seconds, observed(exact)) == (80, "longest of 3 stops in 30 days, 43 s")
    assert decided(pod, facts=Facts(coarse_runs=STOPS)).grace_seconds == 600


def test_given_two_runs_that_ended_at_once_then_the_default_is_withdrawn_and_the_owner_is_told():
    decision = decided(a_pod(env=SAVES), *FAST_ENDS)
    assert (decision.grace_seconds, observed(decision)) == (
        30,
        "2 runs ended at once in 30 days: nobody handles the signal",
    )
    assert any("no handler" in note for note in decision.notes)
    assert decision.annotation is not None


@pytest.mark.parametrize(
    ("key", "value", "seconds"),
    [("grace-seconds", "45", 45), ("checkpoint-size", "1GB", 95), ("model-parameters", "70M", 94)],
)
def test_the_pod_s_own_words_win(key, value, seconds):
    pod = a_pod(annotations={f"gracekeeper.dev/{key}": value})
    for runs in ((CUT,), STOPS, FAST_ENDS):
        decision = decided(pod, *runs)
        assert (decision.grace_seconds, observed(decision)) == (seconds, None)


@pytest.mark.parametrize(("key", "value"), [("upload-size", "1GB"), ("upload-container", "sync")])
def test_a_pod_that_uploads_is_not_measured(key, value):
    pod = a_pod(env=SAVES, annotations={f"gracekeeper.dev/{key}": value})
    pod["spec"]["containers"].append({"name": "sync", "command": ["sync"]})
    for runs in ((CUT,), STOPS, FAST_ENDS):
        assert observed(decided(pod, *runs)) is None


@pytest.mark.parametrize("says", ["namespace", "profile"])
def test_what_a_namespace_or_a_profile_states_is_raised_and_never_undercut(says):
    annotated = {"metadata": {"name": "n", "annotations": {"gracekeeper.dev/grace-seconds": "300"}}}
    namespace = annotated if says == "namespace" else None
    profiles = () if says == "namespace" else (Profile("p", Match(), values={"grace-seconds": "300"}),)
    config = replace(CONFIG, profiles=profiles)
    stated = decided(a_pod(), *STOPS, config=config, namespace=namespace)
    assert (stated.grace_seconds, observed(stated)) == (300, None)
    withdrawn = decided(a_pod(), *FAST_ENDS, config=config, namespace=namespace)
    assert withdrawn.grace_seconds == 300
    assert decided(a_pod(), CUT, config=config, namespace=namespace).grace_seconds == 600


def test_the_maximum_holds_and_what_the_pod_brings_is_never_cut():
    slow = Sample(0, 5000, 6000, Lesson.STOPPED)
    assert decided(a_pod(), slow).grace_seconds == 3600
    assert decided(a_pod(grace=5000), *STOPS).grace_seconds == 5000


@pytest.mark.parametrize("runs", [(CUT,), STOPS, FAST_ENDS, (CUT, CUT), (CUT, CUT, CUT)])
@pytest.mark.parametrize("env", [(), SAVES])
def test_when_gracekeeper_is_called_again_for_the_same_pod_then_nothing_changes(runs, env):
    pod = a_pod(env=env)
    patched = jsonpatch.apply_patch(pod, operations(pod, decided(pod, *runs)))
    assert operations(patched, decided(patched, *runs)) == []


class TestWhereTheStartLosesTheSignal:
    """`bash -c "torchrun ... | tee log"` with the pre-pull: the start is cured first."""

    def pod(self):
        return a_pod(("bash", "-c", "python train.py | tee log"))

    def decided(self, pod, *runs):
        return decided(pod, config=WITH_SUPERVISE, facts=replace(READY, exact_runs=runs))

    def test_given_one_cut_then_it_is_wrapped_and_nothing_is_raised(self):
        decision = self.decided(self.pod(), CUT)
        assert decision.changes is not None
        assert decision.grace_seconds is None

    def test_given_another_cut_then_it_is_raised_as_well(self):
        decision = self.decided(self.pod(), CUT, CUT)
        assert decision.changes is not None
        assert decision.grace_seconds == 600

    @pytest.mark.parametrize("runs", [(CUT,), (CUT, CUT), (CUT, *STOPS)])
    def test_when_gracekeeper_is_called_again_for_the_same_pod_then_nothing_changes(self, runs):
        pod = self.pod()
        patched = jsonpatch.apply_patch(pod, operations(pod, self.decided(pod, *runs)))
        assert operations(patched, self.decided(patched, *runs)) == []

    def test_given_a_pod_that_its_owner_wants_unwrapped_then_the_cut_counts(self):
        pod = self.pod()
        pod["metadata"]["annotations"] = {"gracekeeper.dev/forward-sigterm": "false"}
        decision = self.decided(pod, CUT)
        assert (decision.changes, decision.grace_seconds) == (None, 600)

    def test_given_runs_that_were_saved_through_supervise_then_the_next_is_wrapped_too(self):
        saved = tuple(replace(stop, lesson=Lesson.SAVED) for stop in STOPS)
        assert self.decided(self.pod(), *saved).changes is not None
        assert self.decided(self.pod(), *STOPS).changes is None


def test_the_names_that_are_looked_up_are_the_labels_that_are_written():
    pod = a_pod()
    labels = decided(pod).labels
    assert look_at(pod, CONFIG).lookups.workload_names == (labels[EXACT_WORKLOAD_LABEL], labels[WORKLOAD_LABEL])


@pytest.mark.parametrize(
    ("pod", "config"),
    [
        (a_pod(), Config(observer=Observer(enabled=False))),
        (a_pod(annotations={"gracekeeper.dev/workload": "none"}), CONFIG),
        ({"metadata": {}, "spec": {"containers": [{"name": "web"}]}}, CONFIG),
    ],
)
def test_no_name_is_looked_up_where_nobody_observes(pod, config):
    assert look_at(pod, config).lookups.workload_names is None
