"""Kubelets end pods as they did when tests/recorded/terminations was recorded."""

import pytest

from scripts.record_terminations import recorded
from scripts.terminations import SCENARIOS
from tests.terminations import EXPECTED, classified

RECORDED_ANEW = ("stopped", "cut", "no-handler", "deleted-again", "in-a-job")


def assert_as_recorded(kube, image, worker):
    """Record five scenarios anew, and compare what the classifier tells of them."""
    scenarios = [scenario for scenario in SCENARIOS if scenario.name in RECORDED_ANEW]
    recording = recorded(kube, image, worker, scenarios)
    for name in RECORDED_ANEW:
        termination, (kind, seconds) = classified(recording.events[name]), EXPECTED[name]
        assert termination is not None, name
        assert termination.kind is kind, f"{name}: {termination}"
        if seconds is not None:
            assert termination.seconds in range(seconds, seconds + 3), f"{name}: {termination}"


@pytest.mark.release
def test_pods_end_as_they_were_recorded(kube, trainer_image, worker):
    assert_as_recorded(kube, trainer_image, worker)


@pytest.mark.old_cluster
def test_pods_end_as_they_were_recorded_on_the_oldest_kubelet(kube, trainer_image, worker):
    assert_as_recorded(kube, trainer_image, worker)
