"""OSMO's task pods where native sidecars are switched off: the mode container is chosen by itself, and nothing is lost.

On such a server a native sidecar becomes an ordinary init container that never ends, and the pod hangs for ever.
"""

import json

import pytest

from e2e.osmo.listener import Report
from e2e.osmo.play import play
from e2e.osmo.runs import CONTAINER, NATIVE, Stage, converted
from e2e.osmo.scenarios import Scenario, deleted_when, ends, task, trainer
from webhook.policy.prefix import DECISION_ANNOTATION

SAVED = "checkpoint.pth"

pytestmark = [pytest.mark.old_cluster, pytest.mark.usefixtures("release")]


@pytest.fixture(scope="module")
def stage(kube, cluster, stand_ins):
    with Stage(kube, "osmo-old", stand_ins, cluster.nodes).open() as stage:
        yield stage


def test_the_cluster_is_one_without_native_sidecars(kube):
    version = kube.get("nodes")["items"][0]["status"]["nodeInfo"]["kubeletVersion"]
    assert version.startswith("v1.30."), "run `make e2e-all`"


def test_given_a_task_that_wants_native_when_it_is_deleted_in_training_then_it_is_saved_in_the_mode_container(stage):
    row = Scenario(deleted_when("training"), task(trainer(save_seconds=5)))
    run = play(stage, "sidecars-off", NATIVE, row)
    assert run.failure is None, run.story()
    assert converted(run.versions[0].pod) == CONTAINER, run.story()
    decision = json.loads(run.versions[0].pod["metadata"]["annotations"][DECISION_ANNOTATION])
    assert decision["osmo"].startswith("container ("), decision
    assert "1.3" in decision["osmo"], decision
    assert len(run.uploaded) == 3, run.story()
    assert all(SAVED in files for files in run.uploaded.values()), run.story()
    assert run.reported == Report("FAILED", 2001), run.story()


def test_given_a_task_that_wants_native_when_it_ends_by_itself_then_it_is_completed(stage):
    row = Scenario(ends, task(trainer("--train-seconds=3", "--save-at-end")))
    run = play(stage, "sidecars-off-ends", NATIVE, row)
    assert run.failure is None, run.story()
    assert run.reported == Report("COMPLETED", 0), run.story()
