"""`supervise forward --below`: osmo_exec is the child, and the user command is who gets SIGTERM."""

import fcntl
import signal
import time

import pytest

from tests.supervise.container import PATIENCE_SECONDS, SIGTERM, caught, until
from tests.supervise.pod import TRAINER, endless, python


@pytest.fixture
def started(pod):
    pod.write("hold/started")
    return pod


@pytest.mark.parametrize(
    "script",
    [
        f"exec {TRAINER}",
        f"{TRAINER} | tee log",
        f"{TRAINER} > log",
        f"trap 'echo bye' EXIT; {TRAINER}; true",
        f"setsid {TRAINER} & sleep 0.1",
        f"{TRAINER} &",
        f"setsid -f {TRAINER}",
        " ".join(python("launcher")),
    ],
    ids=lambda script: script.replace(TRAINER, "train").replace(" ".join(python("launcher")), "launcher"),
)
def test_the_user_command_saves_and_its_checkpoint_is_uploaded(started, script):
    # given
    words = [
        "--interrupted-code",
        "143",
        "--",
        "-checkpoint",
        "x",
        "-rsync",
        "bash",
        "-c",
        f"cd {started.folder}/task\n{script}",
    ]
    container = started.below(*words)
    trainer = container.runs(TRAINER)
    until(lambda: caught(trainer) & SIGTERM, "the handler")
    # when
    container.signal()
    # then
    assert container.ends() == 143
    ends = [
        line for line in container.stdout.splitlines() if line in {"saved", "command over", "upload begins", "uploaded"}
    ]
    assert ends[-3:] == ["command over", "upload begins", "uploaded"]
    assert "saved" in ends + started.read("task/log").splitlines()
    assert started.read("task/stopping").isdigit()
    assert int(started.read("task/interrupted")) >= int(started.read("task/stopping"))


def test_a_code_of_its_own_stands(started):
    # given
    container = started.below("--interrupted-code", "143", "--", *python("trainer"), "0", "3")
    container.says("training")
    # when
    container.signal()
    # then
    assert container.ends() == 3
    assert started.read("task/interrupted")


def test_a_running_checkpoint_upload_is_left_alone(started):
    # given: an upload beside the training, in osmo_exec's group, as at every -checkpoint interval
    osmo = "exec -a osmo sh -c 'trap \"echo osmo got it; exit 1\" TERM; sleep 1; echo uploaded beside'"
    container = started.run(
        *(started.program, "forward", "--folder", started.folder, "--below", "--"),
        *("bash", "-c", f"({osmo}) & set -m; {TRAINER} 1.5 & set +m; wait"),
    )
    container.says("training")
    # when
    container.signal()
    # then
    assert container.ends() == 0
    assert "osmo got it" not in container.stdout
    assert "uploaded beside" in container.stdout


def test_past_the_limit_the_user_command_is_killed_and_nobody_else(started):
    # given
    script = "trap '' TERM; setsid sh -c 'trap \"\" TERM; echo on; while :; do sleep 600; done' & while :; do sleep 600; done"
    container = started.below("--limit", "1", "--", "-checkpoint", "x", "-rsync", "sh", "-c", script)
    container.runs("sleep 600")
    # when
    container.signal()
    # then
    assert container.ends() == 255
    assert container.stdout.splitlines()[-3:] == ["command over", "upload begins", "uploaded"]


def test_the_limit_counts_from_the_first_in_the_pod_that_was_told(started):
    # given: a preStop hook has used the time up, which counts from the start of the machine
    limit_seconds = 2 * PATIENCE_SECONDS
    assert limit_seconds < time.clock_gettime(time.CLOCK_BOOTTIME), "this machine is younger than the limit"
    container = started.below("--limit", str(limit_seconds), "--", "sh", "-c", "trap '' TERM; echo on >&2; sleep 599")
    container.runs("sleep 599")
    started.write("task/stopping", "1000")
    # when
    container.signal()
    # then
    assert container.ends() == 255


def test_sigterm_in_the_last_upload_changes_nothing(started):
    # given
    words = ["--limit", "0", "--interrupted-code", "143", "--", "-upload", "1.5", "-checkpoint", "x", "-rsync"]
    container = started.below(*words, "sh", "-c", "exit 0")
    container.says("upload begins")
    # when
    container.signal()
    # then
    assert container.ends() == 0
    assert "uploaded" in container.stdout
    assert (bool(started.read("task/stopping")), started.read("task/interrupted")) == (True, "")


def test_what_a_command_left_behind_does_not_make_it_run(started):
    # given: its output is elsewhere, so that it is over for osmo_exec
    left = f"(setsid {TRAINER} > /dev/null 2>&1 &); exit 0"
    words = ["--interrupted-code", "143", "--", "-upload", "1.5", "-checkpoint", "x"]
    container = started.below(*words, "sh", "-c", left)
    container.says("upload begins")
    # when
    container.signal()
    # then
    assert container.ends() == 0
    assert started.read("task/interrupted") == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_in_the_download_phase_the_command_never_starts(pod, number):
    # given
    container = pod.below("-idle", "sh", "-c", "echo training", stdin=endless(pod))
    container.says("idle")
    # when: an image may name another stop signal
    container.signal(number)
    # then
    assert container.ends(5) == 143
    assert "training" not in container.stdout
    assert pod.read("task/interrupted") == ""


def test_a_failed_result_is_as_sigterm(started):
    # given
    container = started.below("--interrupted-code", "143", "--", *python("trainer"))
    container.says("training")
    # when
    started.write("hold/result", "failed")
    # then
    assert container.ends() == 143
    assert "saved" in container.stdout
    assert started.read("task/interrupted")


def test_a_result_of_success_is_not(started):
    # given
    started.write("hold/result", "success")
    container = started.below("sh", "-c", "sleep 1.2; echo by itself")
    # then
    assert container.ends() == 0
    assert "by itself" in container.stdout
    assert started.read("task/stopping") == ""


def test_its_lock_is_held_for_life(started):
    # given
    container = started.below("sleep", "600")
    container.runs("sleep 600")
    with (started.folder / "task" / "lock").open("rb") as lock:
        # when, then
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        container.signal(signal.SIGKILL)
        container.ends()
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)


@pytest.mark.parametrize("trap", ["mkfifo", "ln -s /etc/passwd", "mkdir"])
def test_traps_in_the_task_folder_harm_nobody(started, trap):
    # given
    traps = "; ".join(f"{trap} {started.folder}/task/{name}" for name in ("stopping", "interrupted"))
    container = started.below("--limit", "5", "--", "sh", "-c", f"{traps}; {TRAINER}")
    container.says("training")
    # when
    container.signal()
    # then
    assert container.ends() == 0
    assert "saved" in container.stdout


@pytest.mark.parametrize("state", ["remount,ro", "full"])
def test_a_folder_that_cannot_be_written_is_one_line_and_the_training_saves(started, state):
    # given
    folder = started.folder
    spoil = f"mount -o {state} {folder}/task" if state != "full" else f"cat /dev/zero > {folder}/task/x 2> /dev/null"
    prepare = f"mount -t tmpfs -o size=64k none {folder}/task; {spoil}"
    container = started.below("--interrupted-code", "143", "--", *python("trainer"), prepare=prepare)
    container.says("training")
    # when
    container.signal()
    # then
    assert container.ends() == 143
    assert "saved" in container.stdout
    assert container.stderr.count("\n") == 1
    assert container.stderr.startswith("supervise: ")
