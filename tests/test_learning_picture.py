"""The picture of docs/learning.md: what is played is what the rules say, and what is recorded is drawn as it was."""

import pytest

from scripts.pictures.learning import WORKLOADS, Run, learning, played, record

GRACES = {
    "saves-quickly": [30, 30, 30, 30],
    "saves-slowly": [30, 60, 83, 83],
    "saves-very-slowly": [30, 60, 180, 180],
    "ignores-sigterm": [30, 60, 180, 30],
    "no-handler-but-a-sign": [60, 60, 30, 30],
}


@pytest.mark.parametrize("workload", WORKLOADS, ids=[workload.name for workload in WORKLOADS])
def test_each_run_has_the_grace_that_the_runs_before_it_taught(workload):
    assert [run.grace_seconds for run in played(workload)] == GRACES[workload.name]


def test_given_recorded_runs_then_they_are_drawn_and_their_source_is_named(tmp_path):
    file = tmp_path / "runs.json"
    file.write_text(
        record({"saves-slowly": [Run(31, 31, was_cut=True), Run(61, 46, was_cut=False)]}, "1.37.2", "2026-11-28")
    )
    picture = learning(file)
    assert "Recorded by e2e/test_learning.py on Kubernetes 1.37.2, 2026-11-28" in picture
    assert "31 s: cut" in picture
    assert "61 s: over after 46 s" in picture
    assert "It ignores SIGTERM" not in picture
