"""`supervise forward` around a launcher: its ranks are told, and then the rest of the container."""

import os
import re
import signal
import subprocess
import sys

import pytest

from tests.supervise.container import PATIENCE_SECONDS, SIGTERM, caught, until
from tests.supervise.pod import PROGRAMS, TRAINER

TORCHRUN = f"{sys.executable} -I -S {PROGRAMS / 'torchrun'}"
"""Kills its ranks a second after SIGTERM; they need two."""
LAUNCHED = f"{TORCHRUN} 1 0 2 2"


def training(container, ranks: int = 2) -> None:
    """Waits until all ranks have their handler, which they say."""
    container.says("training", times=ranks)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (f"exec {LAUNCHED}", 143),
        (f"{LAUNCHED}; echo done", 143),
        (f"{LAUNCHED} | tee log", 143),
        (f"({LAUNCHED}) & wait", 143),
        (f"{LAUNCHED}; exit 7", 7),
    ],
    ids=lambda value: str(value).replace(LAUNCHED, "torchrun"),
)
def test_ranks_save_for_longer_than_their_launchers_clock(pod, script, code):
    # given
    container = pod.forward("bash", "-c", f"cd {pod.folder}/task\n{script}")
    if "tee" in script:
        until(lambda: pod.read("task/log").count("training") == 2, "both train")
    else:
        training(container)
    # when
    container.signal()
    # then
    assert container.ends() == code
    assert [container.stdout.count(word) for word in ("got 15", "saved", "torchrun got it")] == [2, 2, 0]


def test_without_supervise_the_launchers_clock_cuts_them(pod):
    # given
    container = pod.run(*LAUNCHED.split()[:-4], "1", "0", "2", "2")
    training(container)
    # when
    container.signal()
    # then
    assert container.ends() == 1
    assert "saved" not in container.stdout


def test_what_runs_beside_the_ranks_is_told_when_they_have_saved(pod):
    # given: an uploader that catches SIGTERM, as most do
    uploader = f"NAME=uploader {TRAINER}"
    container = pod.forward("bash", "-c", f"{uploader} & {LAUNCHED}; wait")
    training(container, 3)
    # when
    container.signal()
    # then
    assert container.ends() == 143
    lines = [line for line in container.stdout.splitlines() if line != "training"]
    assert sorted(lines[:2]) == ["rank0 got 15", "rank1 got 15"]
    assert lines[2:] == ["saved", "saved", "uploader got 15", "saved"]


def test_a_rank_without_a_handler_is_told_when_the_others_have_saved(pod):
    # given
    plain = f"{sys.executable} -I -S -c 'import time; time.sleep(600)'"
    script = f"RANK=0 {TRAINER} 1 & RANK=1 {plain} & wait"
    container = pod.forward("bash", "-c", script)
    container.says("training")
    container.runs(f"{sys.executable} -I -S -c")
    # when
    container.signal()
    # then
    assert container.ends() == 143
    assert "saved" in container.stdout


def test_a_launcher_that_begins_again_after_the_save_is_ended(pod):
    # given
    container = pod.forward(*TORCHRUN.split(), "1", "3", "0.5 1", "0.5 1")
    training(container)
    # when
    container.signal()
    # then
    assert container.ends() == 1
    assert container.stdout.count("saved") == 2
    assert container.stdout.count("begins again") == 1


def test_a_save_outlives_the_command_that_its_trap_has_ended(pod):
    # given: the script does not wait for what it tells
    container = pod.forward("bash", "-c", f"trap 'kill $!; exit 0' TERM; {TRAINER} 3 & wait")
    container.says("training")
    # when
    container.signal()
    # then
    assert container.ends() == 0
    assert (container.stdout.count("got 15"), container.stdout.count("saved")) == (1, 1)


def test_a_trap_that_tells_nobody_does_not_keep_the_signal_from_the_trainer(pod):
    # given
    container = pod.forward("bash", "-c", f"trap 'exit 7' TERM; {TRAINER} 1 & wait")
    container.says("training")
    # when
    container.signal()
    # then
    assert container.ends() == 7
    assert (container.stdout.count("got 15"), container.stdout.count("saved")) == (1, 1)


def test_ranks_that_hang_are_ended_after_stall_seconds(pod):
    # given: it writes nothing, and has 60 s for it
    container = pod.forward("--stall-seconds", "2", "--", *TORCHRUN.split(), "1", "0", "60", "60")
    training(container)
    # when
    container.signal()
    # then
    assert container.ends() == 1
    assert container.stdout.count("got 15") == 2
    assert "saved" not in container.stdout


def test_another_signal_can_mean_save(pod):
    # given
    program = (
        "import os, signal, time\n"
        "def stop(n, f):\n    os.write(1, f'got {n}\\n'.encode()); os._exit(0)\n"
        "signal.signal(signal.SIGUSR1, stop)\n"
        "os.write(1, b'training\\n')\nwhile True: signal.pause()\n"
    )
    container = pod.forward("--signal", "USR1", "--", "sh", "-c", '"$@"; exit 5', "sh", sys.executable, "-c", program)
    container.says("training")
    # when
    container.signal()
    # then
    assert container.ends() == 5
    assert f"got {int(signal.SIGUSR1)}" in container.stdout


def test_what_came_by_kubectl_exec_is_told_without_a_terminal(pod):
    # given: it enters the container's namespaces from outside, so it has no parent there
    container = pod.forward("sleep", "600")
    container.runs("sleep 600")
    enter = ["nsenter", f"--pid=/proc/{container.pid}/ns/pid", f"--mount=/proc/{container.pid}/ns/mnt"]
    log = pod.folder / "visitor"
    with log.open("w") as out, subprocess.Popen([*enter, *TRAINER.split(), "1"], stdout=out) as visitor:
        until(lambda: "training" in log.read_text(), "it trains")
        # when
        container.signal()
        # then
        assert container.ends() == 143
        visitor.wait(PATIENCE_SECONDS)
    assert log.read_text() == "training\ntrainer got 15\nsaved\n"


def test_trace_says_who_was_told_and_why(pod):
    # given
    container = pod.forward("--trace", "--", "bash", "-c", f"{LAUNCHED}; true")
    training(container)
    # when
    container.signal()
    # then
    container.ends()
    assert container.stderr.count("SIGTERM: rank: child of torchrun") == 2
    assert "looking, then saving" in container.stderr


NO_TABLE = {"another-namespace-s": "umount -l /proc", "none": "mount -t tmpfs none /proc"}
"""What a container has at /proc that may not see its own processes."""


@pytest.mark.parametrize("prepare", NO_TABLE.values(), ids=NO_TABLE)
@pytest.mark.parametrize("wrapped", [True, False], ids=["with", "without"])
def test_a_trainer_that_sees_no_processes_of_its_own_saves_as_without_supervise(pod, prepare, wrapped):
    # given
    container = (pod.forward if wrapped else pod.run)(*TRAINER.split(), prepare=prepare)
    container.says("training")
    # when
    os.kill(container.pid, signal.SIGTERM)
    # then
    assert container.ends() == 0
    assert "saved" in container.stdout
    assert ("only the command itself gets SIGTERM" in container.stderr) is wrapped


@pytest.mark.parametrize("prepare", NO_TABLE.values(), ids=NO_TABLE)
def test_a_trainer_behind_a_shell_that_sees_no_processes_loses_its_save_with_supervise_as_without(pod, prepare):
    # given
    words = ("bash", "-c", f"{TRAINER}; echo over")
    containers = [pod.forward(*words, prepare=prepare), pod.run(*words, prepare=prepare)]
    for container in containers:
        container.says("training")
    # when
    for container in containers:
        os.kill(container.pid, signal.SIGTERM)
    # then: nobody can tell the trainer
    wrapped, alone = containers
    assert wrapped.ends() == 143
    assert alone.running
    assert all("saved" not in container.stdout for container in containers)


def test_the_handler_of_a_stand_in_is_there(pod):
    # given: what the tests above wait for is what supervise looks at
    container = pod.forward(*LAUNCHED.split()[:4], "1", "0", "2")
    training(container, 1)
    # then
    assert caught(container.runs(TRAINER)) & SIGTERM


def test_the_termination_message_tells_what_became_of_the_signal(pod):
    # given
    container = pod.forward("--termination-log", str(pod.log), "--", "bash", "-c", f"{LAUNCHED}; exit 1")
    training(container)
    # when
    container.signal()
    # then
    assert container.ends() == 1
    line = r"gracekeeper: told=2 as=rank written=(\d+) killed=0 ended=(\d+\.\d)s\n"
    [(written, seconds)] = re.findall(line, pod.log.read_text())
    assert int(written) >= len("rank0 got 15\nsaved\n")
    assert 2 <= float(seconds) < PATIENCE_SECONDS


def test_ranks_that_were_killed_are_counted_in_the_termination_message(pod):
    # given
    words = ["--stall-seconds", "1", "--termination-log", str(pod.log)]
    container = pod.forward(*words, "--", *TORCHRUN.split(), "1", "0", "60", "60")
    training(container)
    # when
    container.signal()
    # then
    container.ends()
    assert " killed=2 " in pod.log.read_text()


def test_a_termination_message_of_the_program_stays(pod):
    # given
    container = pod.forward("--termination-log", str(pod.log), "--", "bash", "-c", f"{LAUNCHED}; exit 1")
    training(container)
    pod.log.write_text("out of memory")
    # when
    container.signal()
    # then
    assert container.ends() == 1
    assert pod.log.read_text() == "out of memory"


def test_a_folder_that_cannot_be_synced_changes_nothing(pod):
    # given
    container = pod.forward("--sync", "/nowhere", "--", *TRAINER.split())
    container.says("training")
    # when
    container.signal()
    # then
    assert container.ends() == 0
    assert container.stderr == "supervise: sync /nowhere: no such file or directory\n"


def test_a_folder_that_hangs_holds_the_container_no_longer_than_its_grace(pod):
    # given: to open a FIFO that nobody writes to waits for ever, as on an NFS server that is gone
    hung = pod.folder / "hung"
    os.mkfifo(hung)
    container = pod.forward("--grace", "2", "--sync", hung, "--", *TRAINER.split(), "0.1")
    container.says("training")
    # when
    container.signal()
    # then
    assert container.ends() == 0
    assert re.fullmatch(rf"supervise: sync of {hung}: not within [01]\.\d+s\n", container.stderr)


def test_a_folder_is_synced(pod):
    # when
    container = pod.run(pod.program, "sync", "/")
    # then
    assert (container.ends(), container.stderr) == (0, "")
