"""What every PID 1 owes its child: exit codes, signals, orphans, the terminal, and everything else as it was."""

import contextlib
import fcntl
import os
import pty
import signal
import struct
import sys
import termios
from pathlib import Path

import pytest

from tests.supervise.container import until
from tests.supervise.pod import python


@pytest.mark.parametrize("code", [0, 1, 2, 137, 143, 255])
def test_it_ends_with_the_code_of_its_child(pod, code):
    # given
    one, other = pod.forward("sh", "-c", f"exit {code}"), pod.hold("sh", "-c", f"exit {code}")
    # then
    assert (one.ends(), other.ends()) == (code, code)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGUSR1])
def test_a_child_that_a_signal_ended_is_128_and_the_signal(pod, number):
    # given
    container = pod.forward("sh", "-c", f"kill -{int(number)} $$")
    # then
    assert container.ends() == 128 + number


@pytest.mark.parametrize(
    ("command", "code", "line"),
    [
        ("no-such-command", 127, "supervise: no-such-command: not found\n"),
        ("/no/such/command", 127, "supervise: /no/such/command: not found\n"),
        ("/etc/passwd", 126, "supervise: /etc/passwd: cannot be run: permission denied\n"),
        ("/etc", 126, "supervise: /etc: cannot be run: is a directory\n"),
    ],
)
@pytest.mark.parametrize("subcommand", ["forward", "hold"])
def test_a_command_that_cannot_be_run_is_one_clear_line(pod, subcommand, command, code, line):
    # given
    container = pod.forward(command) if subcommand == "forward" else pod.hold(command)
    # then
    assert (container.ends(), container.stderr) == (code, line)


def test_a_file_of_no_known_format_cannot_be_run(pod, tmp_path):
    # given
    script = tmp_path / "script"
    script.write_text("echo hello\n")
    script.chmod(0o755)
    container = pod.forward(script)
    # then
    assert (container.ends(), container.stderr) == (126, f"supervise: {script}: cannot be run: exec format error\n")


PASSED_ON = [
    *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGCONT),
    *(signal.SIGTSTP, signal.SIGWINCH, signal.SIGIO, signal.SIGRTMIN + 1, signal.SIGRTMAX),
]


def test_all_other_signals_come_to_the_child_once_each(pod):
    # given
    note = "import os, signal, sys\nfor n in map(int, sys.argv[1:]): signal.signal(n, lambda n, f: os.write(1, b'got %d.\\n' % n))"
    loop = "os.write(1, b'ready\\n')\nwhile True: signal.pause()"
    container = pod.forward(sys.executable, "-I", "-S", "-c", f"{note}\n{loop}", *(str(int(n)) for n in PASSED_ON))
    container.says("ready")
    for number in PASSED_ON:
        # when
        container.signal(number)
        # then
        container.says(f"got {int(number)}.\n")
    container.signal(signal.SIGUSR1)
    container.says("got 10.\n", times=2)
    assert container.stdout.count("got") == len(PASSED_ON) + 1


def test_thousands_of_orphans_are_reaped_and_cost_little(pod):
    # given: each `:` is orphaned by the shell between
    container = pod.forward(
        "sh", "-c", "i=0; while [ $i -lt 2000 ]; do (: & :); i=$((i+1)); done; echo all; exec sleep 600"
    )
    container.says("all")
    # then
    tasks = Path(f"/proc/{container.pid}/task")
    until(lambda: sum(len((task / "children").read_text().split()) for task in tasks.iterdir()) == 1, "all reaped")
    assert container.running


def test_orphans_come_to_it_where_pid_1_is_somebody_else(pod):
    # given: as with shareProcessNamespace
    container = pod.run(
        *(
            "sh",
            "-c",
            '"$@" & wait $!',
            "pause",
            pod.program,
            "forward",
            "--",
            "sh",
            "-c",
            "(sleep 600 & echo) | cat; sleep 601",
        )
    )
    orphan = container.runs("sleep 600")
    supervise = container.runs(f"{pod.program} forward")

    def parent() -> int:
        return int(Path(f"/proc/{orphan}/stat").read_text().rpartition(")")[2].split()[1])

    # then
    until(lambda: parent() == supervise, "the orphan is supervise's")
    # when
    os.kill(supervise, signal.SIGTERM)
    # then
    assert container.ends() == 143


def test_the_child_finds_everything_as_it_was(pod, tmp_path):
    # given
    show = (
        "import os, resource, signal, sys\n"
        "print(os.getcwd(), sorted(os.environ.items()), os.umask(0), resource.getrlimit(resource.RLIMIT_NOFILE))\n"
        "status = dict(l.split(':', 1) for l in open('/proc/self/status'))\n"
        "own = 7 << 31  # signals 32 to 34: the C library's and Go's\n"
        "print(status['SigBlk'], int(status['SigIgn'], 16) & ~own, status['CapEff'], status['Groups'])\n"
        "print(sorted(os.listdir('/proc/self/fd')), sys.stdin.read(), os.getpriority(0, 0))\n"
    )
    words = [sys.executable, "-I", "-S", "-c", show]
    environment = {"PATH": os.environ["PATH"], "ODD": "a=b\nc", "GOMAXPROCS": "100"}
    text = tmp_path / "text"
    text.write_text("from stdin")
    prepare = "umask 027; ulimit -Sn 500; trap '' HUP; cd /usr"
    with text.open("rb") as one, text.open("rb") as other:
        bare = pod.run(*words, prepare=prepare, environment=environment, stdin=one)
        # when
        wrapped = pod.forward(*words, prepare=prepare, environment=environment, stdin=other)
        # then
        assert (bare.ends(), wrapped.ends()) == (0, 0)
    assert "from stdin" in bare.stdout
    assert wrapped.stdout == bare.stdout


@pytest.mark.parametrize("leads", [True, False], ids=["a session of its own", "a session that somebody else leads"])
def test_ctrl_c_comes_once(pod, leads):
    # given
    master, slave = pty.openpty()
    note = "import os, signal\nfor n in (2, 28): signal.signal(n, lambda n, f: os.write(1, b'got %d\\n' % n))\n"
    program = note + "os.write(1, b'ready %d\\n' % (os.tcgetpgrp(0) == os.getpgrp()))\nwhile True: signal.pause()"
    words = ["setsid", "--ctty"] if leads else ["setsid", "--ctty", "sh", "-c", '"$@"; exit $?', "sh"]
    container = pod.run(
        *(*words, pod.program, "forward", "--", sys.executable, "-I", "-S", "-c", program),
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    terminal = Terminal(master)
    terminal.says("ready 1")
    # when
    os.write(master, b"\x03")
    terminal.says("got 2")
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 132, 0, 0))
    terminal.says("got 28")
    os.write(master, b"\x03")
    terminal.says("got 2\r\n", times=2)
    # then
    assert (terminal.text.count("got 2\r\n"), terminal.text.count("got 28")) == (2, 1)
    assert container.running
    terminal.close()
    os.close(slave)


def test_a_shell_in_a_terminal_has_job_control(pod):
    # given
    master, slave = pty.openpty()
    container = pod.run(
        *("setsid", "--ctty", pod.program, "forward", "--", "bash", "--norc", "-i"),
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    terminal = Terminal(master)
    # when
    os.write(master, b"sleep 600\n")
    container.runs("sleep 600")
    os.write(master, b"\x1a")
    terminal.says("Stopped")
    os.write(master, b"kill %1; wait; echo left $((40+2))\n")
    # then
    terminal.says("left 42")
    assert "no job control" not in terminal.text
    terminal.close()
    os.close(slave)


class Terminal:
    """The other side of a terminal."""

    def __init__(self, master: int) -> None:
        self._master = master
        self.text = ""
        self.close = lambda: os.close(master)
        os.set_blocking(master, False)

    def says(self, text: str, times: int = 1) -> None:
        def look() -> bool:
            with contextlib.suppress(BlockingIOError):
                self.text += os.read(self._master, 65536).decode()
            return self.text.count(text) >= times

        until(look, f"{text!r} in the terminal")


def test_sigterm_at_any_moment_of_the_start_ends_it(pod):
    # given
    containers = [pod.forward("sleep", "600") for _ in range(10)]
    for container in containers:
        # when
        while container.running:
            with contextlib.suppress(ProcessLookupError):
                container.signal(signal.SIGTERM)
        # then: 2 is Go's own answer in the instant before it comes to supervise
        assert container.ends() in {143, 2}


def test_what_it_says_of_itself(pod):
    # given
    asked = [pod.run(pod.program, word) for word in ("--help", "--version")]
    # then
    assert [one.ends() for one in asked] == [0, 0]
    assert all(f"supervise {word}" in asked[0].stdout for word in ("install", "hold", "forward", "gate"))
    assert asked[1].stdout.strip()[0].isdigit()
    wrong = pod.run(pod.program, "hold", "--", *python("trainer"))
    assert (wrong.ends(), wrong.stderr) == (2, "supervise: hold: --grace SECONDS is needed; see supervise --help\n")
