"""`supervise hold`: SIGTERM is kept from osmo_ctrl until nothing can be lost."""

import fcntl
import hashlib
import os
import signal
import subprocess
import time

import pytest

from tests.supervise.container import until
from tests.supervise.pod import CTRL, python


def result(pod):
    return pod.read("hold/result")


def test_a_normal_run_is_told_to_the_other_containers(pod):
    # given
    container = pod.hold(*CTRL, "start", f"until:{pod.folder}/go", "finish", "safe", "done")
    until(lambda: pod.read("hold/started").isdigit(), "started")
    assert result(pod) == ""
    # when
    pod.write("go")
    # then
    assert (container.ends(), result(pod), pod.log.read_text()) == (0, "success", "")
    assert container.stderr.splitlines()[0].split(" ", 2)[2] == "Exec start"
    assert pod.read("hold/stopping") == ""


def test_a_sidecar_waits_for_sigterm_after_its_result(pod):
    # given
    container = pod.hold("--sidecar", "--", *CTRL, "start", "none", "exit:3")
    until(lambda: result(pod), "the result")
    time.sleep(0.3)
    assert container.running
    # when
    container.signal()
    # then
    assert (container.ends(), result(pod)) == (3, "failed")


@pytest.mark.parametrize("sidecar", [[], ["--sidecar"]], ids=["container", "sidecar"])
def test_sigterm_before_the_start_ends_the_child_at_once(pod, sidecar):
    # given: inputs are being downloaded
    container = pod.hold(*sidecar, "--", *CTRL, "say:downloading", "wait:600")
    container.says("downloading")
    # when
    container.signal()
    # then
    assert (container.ends(5), result(pod), pod.log.read_text()) == (1, "failed", "")
    assert pod.read("hold/stopping").isdigit()


def test_before_the_start_stopping_alone_is_enough(pod):
    # given: SIGTERM comes to a sidecar only when the others have ended, and they wait for its result
    container = pod.hold("--sidecar", "--", *CTRL, "say:downloading", "wait:600")
    container.says("downloading")
    # when
    pod.write("task/stopping", "1000")
    # then
    until(lambda: result(pod) == "failed", "the result")
    container.signal()
    assert container.ends(5) == 1


def test_stopping_before_the_start_of_hold_starts_nothing(pod):
    # given
    pod.write("task/stopping", "1000")
    container = pod.hold(*CTRL, "say:downloading", "wait:600")
    # then
    assert (container.ends(), result(pod), container.stdout) == (1, "failed", "")


def test_a_child_that_does_not_heed_sigterm_is_killed_a_second_later(pod):
    # given
    container = pod.hold("sh", "-c", "trap '' TERM; echo downloading; sleep 600 & wait; sleep 601")
    container.says("downloading")
    # when
    container.signal()
    # then
    assert (container.ends(8), result(pod)) == (1, "failed")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_sigterm_in_the_upload_is_held_back(pod, number):
    # given: an image may name another stop signal
    container = pod.hold(*CTRL, "start", "finish", "say:uploading", f"until:{pod.folder}/go", "safe", "done")
    until(lambda: pod.read("hold/started"), "started")
    container.says("uploading")
    # when
    container.signal(number)
    container.signal(number)
    until(lambda: pod.read("hold/stopping").isdigit(), "stopping")
    pod.write("go")
    # then
    assert (container.ends(), result(pod), pod.log.read_text()) == (0, "success", "")
    assert "SIGTERM" not in container.stdout


def test_other_signals_come_to_the_child(pod):
    # given
    container = pod.hold("sh", "-c", "trap 'echo got it; exit 4' USR1; echo on; while :; do sleep 0.05; done")
    container.says("on")
    # when
    container.signal(signal.SIGUSR1)
    # then
    assert container.ends() == 4


def test_a_log_that_is_never_done_ends_with_what_is_left_of_the_grace(pod):
    # given: of 7 s, 5 are kept for ending
    container = pod.hold("--interrupted-code", "1", "--", *CTRL, "start", "safe", "say:waiting", "wait:600", grace=7)
    container.says("waiting")
    until(lambda: pod.read("hold/started"), "started")
    # when
    container.signal()
    # then: the upload is what counts
    assert (container.ends(8), result(pod), pod.log.read_text()) == (0, "success", '{"code":0}')
    assert "ctrl got SIGTERM" in container.stdout


def test_a_grace_that_is_over_ends_the_child_as_soon_as_its_data_is_safe(pod):
    # given
    pod.write("task/stopping", "1000")
    pod.write("hold/started")
    container = pod.hold(*CTRL, "start", "safe", "wait:600")
    # then: before its start nothing can be lost; this is a start into a pod that stops
    assert container.ends() == 1


@pytest.mark.parametrize(
    ("words", "interrupted", "code", "message"),
    [
        (["--interrupted-code", "1"], True, 1, '{"code":1}'),
        (["--interrupted-code", "1"], False, 0, '{"code":0}'),
        ([], True, 0, '{"code":0}'),
    ],
)
def test_an_interrupted_task_does_not_look_complete(pod, words, interrupted, code, message):
    # given
    words = [*words, "--", *CTRL, "start", f"until:{pod.folder}/go", "safe", "message:0"]
    container = pod.hold(*words, environment={**os.environ, "TERMINATION_LOG": str(pod.log)})
    until(lambda: pod.read("hold/started"), "started")
    container.signal()
    if interrupted:
        pod.write("task/interrupted")
    # when
    pod.write("go")
    # then
    assert (container.ends(), result(pod), pod.log.read_text()) == (code, "success", message)


def test_a_failure_of_its_own_stands(pod):
    # given: the uploader failed
    environment = {**os.environ, "TERMINATION_LOG": str(pod.log)}
    words = ["--interrupted-code", "1", "--", *CTRL, "start", "message:31", "exit:2"]
    pod.write("task/interrupted")
    container = pod.hold(*words, environment=environment)
    # then
    assert (container.ends(), result(pod), pod.log.read_text()) == (2, "failed", '{"code":31}')


@pytest.mark.parametrize(("steps", "message"), [(["kill"], '{"code":137}'), (["message:31", "kill"], '{"code":31}')])
def test_a_death_by_a_signal_is_told_where_the_child_told_nothing(pod, steps, message):
    # given
    container = pod.hold(*CTRL, "start", *steps, environment={**os.environ, "TERMINATION_LOG": str(pod.log)})
    # then
    assert (container.ends(), result(pod), pod.log.read_text()) == (137, "failed", message)


@pytest.mark.parametrize("sidecar", [[], ["--sidecar"]], ids=["container", "sidecar"])
def test_a_restarted_one_starts_nothing(pod, sidecar):
    # given: the first was killed
    first = pod.hold("--sidecar", "--", *CTRL, "start", "wait:600")
    until(lambda: pod.read("hold/started"), "started")
    first.signal(signal.SIGKILL)
    first.ends()
    # when
    second = pod.hold(*sidecar, "--", *CTRL, "say:again")
    until(lambda: result(pod) == "failed", "the result")
    # then
    if sidecar:
        with (pod.folder / "hold" / "lock").open("rb") as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        second.signal()
    assert (second.ends(), second.stdout, pod.log.read_text()) == (137, "", '{"code":137}')


def test_a_lock_that_user_code_sits_on_changes_nothing(pod):
    # given
    container = pod.hold(*CTRL, "start", f"until:{pod.folder}/go", "safe")
    until(lambda: pod.read("hold/started"), "started")
    with (pod.folder / "hold" / "lock").open("rb") as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        pod.write("go")
        assert container.ends() == 0
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # when
        again = pod.hold(*CTRL, "say:again")
        # then
        assert (again.ends(), again.stdout) == (137, "")


LINES = (
    "import os, sys\n"
    "os.write(2, b'2026/08/20 09:14:03 Exec start\\n')\n"
    "line = b'0123456789abcdef' * 65536 + b'\\n'\n"
    "for _ in range(6):\n"
    "    rest = line\n"
    "    while rest: rest = rest[os.write(2, rest):]\n"
    "os.write(2, b'the end, without a newline')\n"
)


@pytest.mark.parametrize("pace_seconds", [0, 0.002], ids=["a fast reader", "a slow reader"])
def test_stderr_comes_through_byte_for_byte(pod, pace_seconds):
    # given
    words = [*python("osmo_ctrl")[:-1], "-c", LINES]
    reader, writer = os.pipe()
    container = pod.hold(*words, stderr=writer)
    os.close(writer)
    received = hashlib.sha256()
    size = 0
    # when
    while piece := os.read(reader, 16384 if pace_seconds else 1 << 20):
        received.update(piece)
        size += len(piece)
        time.sleep(pace_seconds)
    os.close(reader)
    # then
    lines = (b"0123456789abcdef" * 65536 + b"\n") * 6
    expected = b"2026/08/20 09:14:03 Exec start\n" + lines + b"the end, without a newline"
    assert (size, received.hexdigest()) == (len(expected), hashlib.sha256(expected).hexdigest())
    assert (container.ends(), result(pod)) == (0, "success")
    assert pod.read("hold/started")


def test_a_result_does_not_wait_for_a_reader(pod):
    # given: nobody reads, and the child's last words are still in the pipe
    reader, writer = os.pipe()
    words = [*python("osmo_ctrl")[:-1], "-c", "import os\nos.write(2, b'x' * 100_000)"]
    container = pod.hold("--sidecar", "--", *words, stderr=writer, grace=6)
    os.close(writer)
    # then
    until(lambda: result(pod) == "success", "the result")
    container.signal()
    assert container.ends(5) == 0
    os.close(reader)


def test_a_reader_that_has_gone_ends_neither_hold_nor_its_child(pod):
    # given
    reader, writer = os.pipe()
    container = pod.hold(*CTRL, "start", f"until:{pod.folder}/go", "finish", "safe", "done", "exit:5", stderr=writer)
    os.close(writer)
    os.close(reader)
    # when
    pod.write("go")
    # then
    assert container.ends() == 5
    assert pod.read("hold/started")


def test_a_background_process_that_keeps_stderr_open_delays_nothing(pod):
    # given
    container = pod.hold("sh", "-c", "setsid sleep 600 & echo last words >&2")
    # then
    assert (container.ends(5), result(pod), container.stderr) == (0, "success", "last words\n")


def test_what_the_child_left_behind_does_not_outlive_it_in_a_sidecar(pod):
    # given
    container = pod.hold("--sidecar", "--", "sh", "-c", "setsid sleep 600 & setsid sleep 601 & exit 0")
    until(lambda: result(pod), "the result")
    # then
    until(lambda: len(container.processes()) == 1, "all but supervise ended")
    container.signal()
    assert container.ends() == 0


@pytest.mark.parametrize("state", ["read-only", "full", "without room for another file"])
def test_a_folder_that_cannot_be_written_is_one_line_and_the_upload_is_protected(pod, state):
    # given
    folder = f"{pod.folder}/hold"
    spoil = {
        "read-only": f"mount -t tmpfs -o ro none {folder}",
        "full": f"mount -t tmpfs -o size=64k none {folder}; cat /dev/zero > {folder}/x 2> /dev/null",
        "without room for another file": f"mount -t tmpfs -o nr_inodes=1 none {folder}",
    }[state]
    words = [*CTRL, "start", "say:uploading", f"until:{pod.folder}/go", "safe", "say:uploaded", "done"]
    container = pod.hold(*words, prepare=spoil)
    container.says("uploading")
    container.complains("Exec start")
    # when
    container.signal()
    time.sleep(0.2)
    pod.write("go")
    # then
    assert container.ends() == 0
    assert "uploaded" in container.stdout
    lines = [line for line in container.stderr.splitlines() if line.startswith("supervise:")]
    assert len(lines) == 1, lines


def test_a_result_that_cannot_be_written_makes_nobody_wait(pod):
    # given: user code fills the folder, which the containers share
    folder = pod.folder / "hold"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], check=True)
    try:
        container = pod.hold("--sidecar", "--", *CTRL, "start", f"until:{pod.folder}/go", "safe")
        until(lambda: pod.read("hold/started"), "started")
        subprocess.run(f"cat /dev/zero > {folder}/x", shell=True, check=False, stderr=subprocess.DEVNULL)
        # when
        pod.write("go")
        container.complains("supervise: write ")
        # then: as if it were dead
        with (folder / "lock").open("rb") as lock:
            until(lambda: _free(lock), "the lock is given back")
        container.signal()
        assert container.ends() == 0
    finally:
        assert mounted.returncode == 0
        pod.close()
        subprocess.run(["umount", folder], check=True)


def _free(lock):
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
