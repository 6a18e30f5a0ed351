"""The containers of a pod together, and what becomes of the others when one supervise dies."""

import signal
import time

import pytest

from tests.supervise.container import until
from tests.supervise.pod import CTRL, endless, python


def test_a_native_pod_that_is_deleted_in_training(pod):
    # given
    uploaded = pod.folder / "task" / "over"
    hold = pod.hold(
        "--sidecar", "--interrupted-code", "1", "--", *CTRL, "start", f"until:{uploaded}", "finish", "wait:0.5", "safe"
    )
    until(lambda: pod.read("hold/started"), "started")
    gate = pod.gate()
    user = pod.below("--interrupted-code", "143", "--", "-checkpoint", "x", *python("trainer"), "0.5")
    user.says("training")
    # when: all but the sidecar are told
    user.signal()
    gate.signal()
    # then
    assert user.ends() == 143
    assert (gate.running, hold.running) == (True, True)
    uploaded.touch()
    assert gate.ends() == 0
    hold.signal()
    assert (hold.ends(), pod.log.read_text()) == (1, '{"code":1}')
    assert user.stdout.splitlines()[-3:] == ["command over", "upload begins", "uploaded"]


def test_a_native_pod_whose_command_ends_by_itself(pod):
    # given
    hold = pod.hold("--sidecar", "--interrupted-code", "1", "--", *CTRL, "start", "finish", "safe", "done")
    gate = pod.gate()
    # when
    assert gate.ends() == 0
    hold.signal()
    # then
    assert (hold.ends(), pod.log.read_text()) == (0, "")


def test_a_pod_that_is_deleted_while_it_downloads(pod):
    # given
    hold = pod.hold("--sidecar", "--", *CTRL, "say:downloading", "wait:600")
    hold.says("downloading")
    gate = pod.gate()
    user = pod.below("-idle", "echo", "training", stdin=endless(pod))
    user.says("idle")
    # when
    began = time.monotonic()
    for container in (user, gate):
        container.signal()
    # then
    assert gate.ends() == 1
    hold.signal()
    assert (user.ends(), user.stdout, hold.ends()) == (143, "idle\n", 1)
    assert time.monotonic() - began < 10


def test_a_failed_upload_fails_the_gate(pod):
    # given
    pod.hold("--sidecar", "--", *CTRL, "start", "exit:2")
    gate = pod.gate()
    # then
    assert (gate.ends(), gate.stderr) == (1, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP])
def test_no_signal_ends_the_gate_before_the_result(pod, number):
    # given
    gate = pod.gate()
    gate.listens()
    # when
    gate.signal(number)
    gate.signal(number)
    if number in {signal.SIGTERM, signal.SIGINT}:
        until(lambda: pod.read("task/stopping").isdigit(), "stopping")
    # then
    assert gate.running
    pod.write("hold/result", "success")
    assert gate.ends() == 0


def test_a_launcher_that_has_nothing_to_do_is_ended_after_five_seconds(slow):
    # then
    assert slow.idle.ends(20) == 143
    assert time.monotonic() - slow.began > 5


def test_one_that_uploads_checkpoints_may_wait_for_the_service(slow):
    # then: it has ended by itself
    assert slow.uploads.ends(20) == 0


def test_where_hold_has_died_the_user_command_is_told_and_the_gate_fails(slow):
    # then
    assert (slow.gate.ends(40), slow.user.ends(40)) == (1, 143)
    assert "saved" in slow.user.stdout
    assert slow.gate.stderr == "supervise: the container that uploads has gone without a result\n"
    assert time.monotonic() - slow.began > 15


def test_where_hold_was_never_there_the_gate_fails_and_the_command_runs_on(slow):
    # then
    assert slow.never.ends(40) == 1
    assert slow.late.running
    assert "running" in slow.late.stdout


@pytest.mark.parametrize("killed", ["forward", "gate"])
def test_sigkill_of_another_supervise_does_not_cut_the_upload(pod, killed):
    # given
    steps = ["start", "say:uploading", f"until:{pod.folder}/go", "safe", "done"]
    hold = pod.hold("--sidecar", "--interrupted-code", "1", "--", *CTRL, *steps)
    hold.says("uploading")
    until(lambda: pod.read("hold/started"), "started")
    others = {"gate": pod.gate(), "forward": pod.below("sleep", "600")}
    others["gate"].listens()
    others["forward"].runs("sleep 600")
    # when
    others[killed].signal(signal.SIGKILL)
    others[killed].ends()
    hold.signal()
    pod.write("go")
    # then
    assert (hold.ends(), pod.read("hold/result")) == (0, "success")
    if killed == "forward":
        assert others["gate"].ends() == 0
