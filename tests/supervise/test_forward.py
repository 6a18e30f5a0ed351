"""Whom `supervise forward` hands SIGTERM to, and when it loses patience."""

import signal
import sys

import pytest

from tests.supervise.container import SIGTERM, caught, until
from tests.supervise.pod import TRAINER, python


@pytest.mark.parametrize(
    "script",
    [
        f"exec {TRAINER}",
        f"{TRAINER}; exit $?",
        f"{TRAINER} > log",
        f"{TRAINER} | tee log",
        f"{TRAINER} 2>&1 | tee log | cat",
        f"({TRAINER} | cat) | cat",
        f"setsid {TRAINER} | cat",
        f"setsid -w {TRAINER}",
        f"sleep 600 & {TRAINER}",
        f"{TRAINER} & wait",
        f"nohup {TRAINER}",
        f"timeout 600 sh -c '{TRAINER} | tee log'",
        f"trap '' INT; {TRAINER}; true",
    ],
    ids=lambda script: script.replace(TRAINER, "train"),
)
def test_the_trainer_saves(pod, script):
    # given
    container = pod.forward("--interrupted-code", "143", "--", "bash", "-c", f"cd {pod.folder}/task\n{script}")
    trainer = container.runs(TRAINER)
    until(lambda: caught(trainer) & SIGTERM, "the handler")
    # when
    container.signal()
    # then
    assert container.ends() in {0, 143}
    text = container.stdout + pod.read("task/log") * ("tee" not in script)
    assert (text.count("got 15"), text.count("saved")) == (1, 1)


@pytest.mark.parametrize(
    ("script", "code", "says"),
    [
        (f"trap 'echo bye' EXIT\n{TRAINER}\necho code $?", 143, ["saved", "code 0", "bye"]),
        (f"trap 'echo trapped' TERM\n{TRAINER}\necho code $?", 143, ["saved", "code 0"]),
        (f"trap 'kill $trainer' TERM\n{TRAINER} & trainer=$!\nwait $trainer\necho code $?", 0, ["saved", "code 143"]),
        ("trap 'echo trapped; exit 7' TERM\necho training\nsleep 600 & wait", 7, ["trapped"]),
    ],
    ids=["EXIT trap", "TERM trap", "TERM trap that hands it on", "a trap, and nothing below that catches"],
)
def test_shells_with_traps(pod, script, code, says):
    # given
    container = pod.forward("bash", "-c", script)
    container.says("training")
    if "sleep" in script:
        container.runs("sleep")
    # when
    container.signal()
    # then
    assert container.ends() == code
    assert all(word in container.stdout for word in says)
    assert container.stdout.count("got 15") <= 1


def test_python_without_a_handler_dies_by_it(pod):
    # given
    container = pod.forward("sh", "-c", f"{sys.executable} -I -S -c 'print(1, flush=True)\nwhile True: pass'; exit $?")
    container.says("1")
    # when
    container.signal()
    # then
    assert container.ends() == 143


def test_the_data_loaders_of_a_trainer_are_left_alone(pod):
    # given
    container = pod.forward(*python("trainer"), "0.5", "0", "3")
    container.says("training")
    # when
    container.signal()
    # then
    assert container.ends() == 0
    assert container.stdout.count("got 15") == 1
    assert "a data loader died" not in container.stdout


def test_a_launcher_gets_it_and_its_workers_only_from_it(pod):
    # given
    container = pod.forward("sh", "-c", f"{' '.join(python('launcher'))} | cat")
    container.says("training", times=2)
    # when
    container.signal()
    # then
    assert container.ends() == 143
    assert [container.stdout.count(word) for word in ("launcher got it", "worker0 got", "worker1 got", "saved")] == [
        1,
        1,
        1,
        2,
    ]


def test_an_orphan_in_a_session_of_its_own_gets_it(pod):
    # given
    container = pod.forward("sh", "-c", f"(setsid {TRAINER} &); sleep 600; exit $?")
    container.says("training")
    container.runs("sleep 600")
    # when: the sleep is no target as long as somebody saves
    container.signal()
    # then
    assert container.ends() == 143
    assert "saved" in container.stdout


@pytest.mark.parametrize(
    ("words", "script", "code"),
    [
        ([], "exec {} 0.1", 0),
        ([], "{} 0.1; true", 143),
        ([], "{} 0.1 | cat", 143),
        ([], "trap 'kill $!; wait $!; exit 0' TERM; {} 0.1 & wait", 0),
        (["--interrupted-code", "77"], "{} 0.1; true", 77),
        (["--interrupted-code", "77"], "exec {} 0.1", 0),
        (["--interrupted-code", "0"], "{} 0.1; true", 0),
        (["--interrupted-code", "77"], "{} 0.1 5; exit $?", 5),
    ],
)
def test_a_run_that_was_cut_does_not_look_complete_where_alone_it_would_not(pod, words, script, code):
    # given
    container = pod.forward(*words, "--", "bash", "-c", script.format(TRAINER))
    container.says("training")
    # when
    container.signal()
    # then
    assert container.ends() == code


def test_a_command_that_was_not_cut_keeps_its_code(pod):
    # given
    container = pod.forward("--interrupted-code", "143", "--", "true")
    # then
    assert container.ends() == 0


def test_a_second_sigterm_is_not_handed_on(pod):
    # given
    container = pod.forward(*python("trainer"), "1")
    container.says("training")
    container.signal()
    container.says("got 15")
    # when: as when the kubelet was restarted in the save
    container.signal()
    # then
    assert container.ends() == 0
    assert container.stdout.count("got 15") == 1


def test_a_handler_that_gives_itself_up_covers_its_data_loaders_still(pod):
    # given
    program = (
        "import os, signal, time\n"
        "def stop(n, f):\n    signal.signal(n, signal.SIG_DFL); os.write(1, b'saving\\n'); time.sleep(1.5); os._exit(0)\n"
        "def loader(n, f):\n    os.write(1, b'loader got it\\n'); os._exit(1)\n"
        "signal.signal(signal.SIGTERM, loader)\n"
        "if not os.fork(): time.sleep(600)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "os.write(1, b'training\\n')\n"
        "while True: signal.pause()\n"
    )
    container = pod.forward(sys.executable, "-I", "-S", "-c", program)
    container.says("training")
    # when
    container.signal()
    # then
    assert container.ends() == 0
    assert "loader got it" not in container.stdout


def test_work_that_appears_later_is_ended_until_the_limit(pod):
    # given
    container = pod.forward("--limit", "2", "--", "sh", "-c", "until sleep 600; do echo again; done")
    container.runs("sleep 600")
    # when
    container.signal()
    # then
    assert container.ends() == 137
    assert container.stdout.count("again") > 2


def test_what_a_script_does_with_the_checkpoint_after_the_save_runs_to_its_end(pod):
    # given
    script = f"{TRAINER}; sleep 1; echo copied; sleep 1; echo done"
    container = pod.forward("--limit", "60", "--", "sh", "-c", script)
    container.says("training")
    trainer = container.runs(TRAINER)
    until(lambda: caught(trainer) & SIGTERM, "the handler")
    # when
    container.signal()
    # then
    assert container.ends() == 143
    assert container.stdout.endswith("copied\ndone\n")


def test_a_script_is_not_ended_between_two_of_its_commands(pod):
    # given: when the trainer has saved, the shell is busy for a while and has no child
    busy = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"
    container = pod.forward("sh", "-c", f"{TRAINER}; {busy}; echo copied; exit 7")
    container.says("training")
    trainer = container.runs(TRAINER)
    until(lambda: caught(trainer) & SIGTERM, "the handler")
    # when
    container.signal()
    # then
    assert container.ends() == 7
    assert container.stdout.endswith("copied\n")


def test_what_runs_on_after_the_save_is_killed_at_the_limit(pod):
    # given
    container = pod.forward("--limit", "4", "--", "sh", "-c", f"{TRAINER}; sleep 600")
    container.says("training")
    trainer = container.runs(TRAINER)
    until(lambda: caught(trainer) & SIGTERM, "the handler")
    # when
    container.signal()
    # then
    assert container.ends() == 137


def test_work_that_appears_later_is_asked_to_save(pod):
    # given: what the trainer starts when it is told to stop has its handler from its first moment
    program = (
        "import os, signal\n"
        "told = []\n"
        "signal.signal(signal.SIGTERM, lambda n, f: told.append(n))\n"
        "os.write(1, b'training\\n')\n"
        "while not told: signal.sigtimedwait([], 0.02)\n"
        "told.clear()\n"
        "if os.fork(): os._exit(0)\n"
        "while not told: signal.sigtimedwait([], 0.02)\n"
        "os.write(1, b'evaluation saved\\n')\n"
    )
    container = pod.forward("sh", "-c", '"$@"; sleep 1; exit 7', "sh", sys.executable, "-I", "-S", "-c", program)
    container.says("training")
    # when
    container.signal()
    # then
    assert container.ends() == 7
    assert "evaluation saved" in container.stdout


@pytest.mark.parametrize("stop", ["", "kill -STOP $$; "], ids=["running", "stopped"])
def test_what_ignores_sigterm_is_killed_at_the_limit_with_all_that_it_has(pod, stop):
    # given
    inner = f"{stop}sleep 601"
    container = pod.forward(
        "--limit", "1", "--", "sh", "-c", f"trap '' TERM; setsid sh -c '{inner}' & echo on; sleep 600"
    )
    container.says("on")
    container.runs("sleep 600")
    # when
    container.signal()
    # then
    assert container.ends() == 137


def test_without_a_limit_it_waits(pod):
    # given
    container = pod.forward("sh", "-c", "trap '' TERM; echo on; sleep 1; echo done")
    container.says("on")
    # when
    container.signal()
    # then
    assert container.ends() == 0
    assert "done" in container.stdout


def test_another_users_process_that_refuses_is_one_clear_line(pod):
    # given: supervise is root without CAP_KILL
    container = pod.run(
        *("setpriv", "--bounding-set", "-kill", "--inh-caps", "-kill", pod.program, "forward", "--limit", "1", "--"),
        *("setpriv", "--reuid", "65534", "--clear-groups", "sh", "-c", "until sleep 0.2 && false; do echo on; done"),
    )
    container.says("on")
    # when
    container.signal()
    container.complains("supervise: cannot signal process")
    container.says("on", times=container.stdout.count("on") + 8)
    # then: past its limit, too
    lines = container.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].endswith(": operation not permitted")
    assert container.running


def test_it_does_not_read_the_pods_files(pod):
    # given: outside OSMO there is no folder
    container = pod.run(pod.program, "forward", "--folder", "/nowhere", "--", *python("trainer"))
    container.says("training")
    # when
    container.signal(signal.SIGTERM)
    # then
    assert (container.ends(), container.stderr) == (0, "")
