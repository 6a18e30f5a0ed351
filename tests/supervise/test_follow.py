"""`supervise follow`: an uploader beside a trainer is told to stop when the trainer's container has ended, not before."""

import signal
import sys
import time

import pytest

from tests.supervise.container import until
from tests.supervise.pod import python

TRAINER = (
    "import os, pathlib, signal, sys, time\n"
    "told = []\n"
    "signal.signal(signal.SIGTERM, lambda n, f: told.append(n))\n"
    "os.write(1, b'training\\n')\n"
    "while not told: time.sleep(0.02)\n"
    "time.sleep(0.6)\n"
    "pathlib.Path(sys.argv[1]).touch()\n"
)


def trainer(pod):
    """A trainer that saves for 0.6 s."""
    started = pod.followed(sys.executable, "-I", "-S", "-c", TRAINER, pod.checkpoint)
    started.says("training")
    return started


def endless_trainer(pod):
    """A trainer that saves for ever."""
    started = pod.followed("sh", "-c", "trap 'echo told' TERM; echo training; while :; do sleep 600 & wait $!; done")
    started.says("training")
    started.runs("sleep 600")
    return started


def uploader(pod, *options, grace=60):
    started = pod.follow(*options, "--", *python("uploader"), pod.checkpoint, grace=grace)
    started.says("waiting")
    return started


def test_the_uploader_is_told_when_the_trainer_has_saved_and_its_exit_code_stands(pod):
    # given
    train, upload = trainer(pod), pod.follow(*python("uploader"), pod.checkpoint, "3")
    upload.says("waiting")
    # when: the kubelet tells regular containers together
    upload.signal()
    train.signal()
    # then
    assert (upload.ends(), upload.stdout) == (3, "waiting\nuploaded\n")
    assert train.ends() == 0


def test_a_native_sidecar_is_told_at_once_as_its_trainer_has_ended(pod):
    # given
    train, upload = trainer(pod), uploader(pod)
    train.signal()
    assert train.ends() == 0
    # when
    upload.signal()
    # then
    assert (upload.ends(5), upload.stdout) == (0, "waiting\nuploaded\n")


def test_a_trainer_that_was_killed_holds_nobody(pod):
    # given: as the kernel ends a container that is out of memory
    train, upload = endless_trainer(pod), uploader(pod)
    upload.signal()
    train.signal()
    train.says("told")
    assert upload.running
    # when
    train.signal(signal.SIGKILL)
    # then
    assert (upload.ends(5), upload.stdout) == (0, "waiting\nnothing to upload\n")


def test_a_trainer_that_never_started_holds_nobody(pod):
    # given
    upload = uploader(pod)
    # when
    upload.signal()
    # then
    assert upload.ends(5) == 0


def test_a_trainer_that_does_not_end_leaves_the_uploader_half_of_a_short_grace(pod):
    # given
    train, upload = endless_trainer(pod), uploader(pod, grace=4)
    # when
    began = time.monotonic()
    train.signal()
    upload.signal()
    # then
    assert (upload.ends(), upload.stdout) == (0, "waiting\nnothing to upload\n")
    assert time.monotonic() - began >= 2
    assert train.running


def test_an_uploader_that_alone_is_to_stop_is_told_although_the_trainer_trains(pod):
    # given: as when its liveness probe has failed
    train, upload = endless_trainer(pod), uploader(pod, "--trainer-told-within", "1")
    # when
    upload.signal()
    # then
    assert upload.ends() == 0
    assert train.running
    assert "told" not in train.stdout


def test_a_trainer_that_has_been_told_is_waited_for_beyond_that_time(pod):
    # given
    train, upload = endless_trainer(pod), uploader(pod, "--trainer-told-within", "0")
    # when
    train.signal()
    until(lambda: pod.read("task/stopping"), "stopping")
    upload.signal()
    time.sleep(1)
    # then
    assert upload.running
    train.signal(signal.SIGKILL)
    assert upload.ends(5) == 0


def test_an_uploader_that_ends_by_itself_ends_its_container_and_nothing_else(pod):
    # given
    train = trainer(pod)
    # when
    upload = pod.follow("sh", "-c", "echo over; exit 4")
    # then
    assert (upload.ends(), upload.stdout) == (4, "over\n")
    assert train.running


def test_a_restarted_uploader_starts_anew_and_waits_anew(pod):
    # given
    train, first = trainer(pod), uploader(pod)
    first.signal(signal.SIGKILL)
    first.ends()
    again = uploader(pod)
    # when
    again.signal()
    train.signal()
    # then
    assert (again.ends(), again.stdout) == (0, "waiting\nuploaded\n")


def test_a_restarted_trainer_is_waited_for(pod):
    # given
    first = endless_trainer(pod)
    first.signal(signal.SIGKILL)
    first.ends()
    train, upload = trainer(pod), uploader(pod)
    # when
    upload.signal()
    train.signal()
    # then
    assert (upload.ends(), upload.stdout) == (0, "waiting\nuploaded\n")


def test_the_stop_signal_of_an_image_is_held_and_handed_on_as_it_came(pod):
    # given
    train, upload = (
        trainer(pod),
        pod.follow("sh", "-c", "trap 'echo quit; exit 5' QUIT; echo on; while :; do sleep 0.1; done"),
    )
    upload.says("on")
    # when
    upload.signal(signal.SIGQUIT)
    time.sleep(0.7)
    assert "quit" not in upload.stdout
    train.signal()
    # then
    assert upload.ends() == 5


def test_a_loop_that_does_not_heed_the_signal_uploads_on(pod):
    # given: as PID 1 it would not be ended by it either
    loop = f"echo on; while :; do ls {pod.checkpoint}; sleep 0.2; done"
    train, upload = trainer(pod), pod.follow("sh", "-c", loop)
    upload.says("on")
    # when
    upload.signal()
    train.signal()
    train.ends()
    # then
    upload.says(f"{pod.checkpoint}\n", times=3)
    assert upload.running


def test_no_pass_of_a_loop_is_cut(pod):
    # given: each pass catches the signal, as rclone does
    one_pass = "trap 'echo cut; exit 1' TERM; i=0; while [ $i -lt 3 ]; do sleep 0.1; i=$((i+1)); done; echo passed; :"
    upload = pod.follow("sh", "-c", f"while :; do sh -c '{one_pass.replace(chr(39), chr(34))}'; done")
    upload.says("passed", times=3)
    # when: no trainer is there
    upload.signal()
    # then
    upload.says("passed", times=5)
    assert "cut" not in upload.stdout


def test_a_program_below_a_shell_that_drops_the_signal_is_told(pod):
    # given
    words = " ".join([*python("uploader"), str(pod.checkpoint)])
    upload = pod.follow("sh", "-c", f"{words}; echo over; exit 6")
    upload.says("waiting")
    time.sleep(0.5)
    # when
    upload.signal()
    # then
    assert (upload.ends(), upload.stdout) == (6, "waiting\nnothing to upload\nover\n")


def test_a_script_with_a_trap_syncs_once_more_and_ends(pod):
    # given: the script that docs/supervise.md shows
    script = (
        "trap stop=1 TERM\n"
        f'until [ "$stop" ]; do ls {pod.checkpoint} 2>&1; [ "$stop" ] || {{ sleep 600 & wait $!; }}; done\n'
        f"ls {pod.checkpoint}"
    )
    train, upload = trainer(pod), pod.follow("sh", "-c", script)
    upload.says("No such file")
    # when
    upload.signal()
    train.signal()
    # then
    assert upload.ends() == 0
    assert upload.stdout.endswith(f"{pod.checkpoint}\n")


def test_a_second_signal_is_not_handed_on(pod):
    # given
    upload = pod.follow("sh", "-c", "trap 'echo told; sleep 1; exit 0' TERM; echo on; while :; do sleep 0.1; done")
    upload.says("on")
    upload.signal()
    upload.says("told")
    # when
    upload.signal()
    # then
    assert upload.ends() == 0
    assert upload.stdout.count("told") == 1


@pytest.mark.parametrize("waits", ["signal.sigwait([15])", "while 15 not in signal.sigpending(): time.sleep(0.05)"])
def test_a_program_that_blocks_the_signal_to_wait_for_it_is_told(pod, waits):
    # given: as tini does, and who reads signals from a descriptor
    program = (
        "import os, signal, time\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [15])\n"
        "os.write(1, b'on\\n')\n"
        f"{waits}\n"
        "os._exit(7)\n"
    )
    upload = pod.follow(sys.executable, "-I", "-S", "-c", program)
    upload.says("on")
    # when
    upload.signal()
    # then
    assert upload.ends() == 7


@pytest.mark.parametrize("users", [(1000, 2000), (2000, 0)])
def test_trainer_and_uploader_may_run_under_different_users(pod, users):
    # given: the uploader sees the folder read-only
    mount = f"mount --bind {pod.folder} /srv; cd /"
    read_only = f"{mount}; mount --bind /srv/task /srv/task; mount -o remount,bind,ro /srv/task"

    def as_user(user, prepare, *words):
        return pod.run("setpriv", "--reuid", user, "--clear-groups", "/srv/bin/supervise", *words, prepare=prepare)

    waits = "echo on; sleep 600 & wait"
    train = as_user(
        *(users[0], mount, "forward", "--folder", "/srv", "--followed", "--"),
        *("sh", "-c", f"trap 'sleep 1; exit 0' TERM; {waits}"),
    )
    upload = as_user(
        *(users[1], read_only, "follow", "--folder", "/srv", "--grace", "60", "--"),
        *("sh", "-c", f"trap 'echo told; exit 0' TERM; {waits}"),
    )
    train.runs("sleep 600")
    upload.runs("sleep 600")
    # when
    upload.signal()
    train.signal()
    time.sleep(0.7)
    # then
    assert (upload.stdout, upload.stderr, train.stderr) == ("on\n", "", "")
    assert (train.ends(), upload.ends()) == (0, 0)


def test_a_trainer_that_cannot_show_that_it_lives_saves_all_the_same(pod):
    # given
    train = pod.run(
        *(pod.program, "forward", "--folder", "/nowhere", "--followed", "--"),
        *(sys.executable, "-I", "-S", "-c", TRAINER, pod.checkpoint),
    )
    train.says("training")
    # when
    train.signal()
    # then
    assert train.ends() == 0
    assert train.stderr == "supervise: open /nowhere/task/lock: no such file or directory\n"
    assert pod.checkpoint.exists()
