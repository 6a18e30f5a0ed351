"""What CI runs: both commands on one cluster, which is gone at the end, and the table of the times, however it ends."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.supervise.container import until
from tools.cluster.settings import ROOT

LOGGED = """#!/bin/sh
trap 'kill $!; echo "{name} $* has SIGTERM" >> "$LOG"; exit 2' TERM
echo "{name} $* keep=$GRACEKEEPER_KEEP stdin=$(cat | wc -c)" >> "$LOG"
[ "$*" != "$HANGS" ] || {{ sleep 600 & wait; }}
[ "$*" != "$FAILS" ]
"""
MADE = [f"make {command} keep=1 stdin=0" for command in ("test", "e2e")]
AT_THE_END = [f"python -m tools.{command} keep=1 stdin=0" for command in ("cluster down", "loop table")]


@pytest.fixture
def start(tmp_path):
    """Starts it in a folder where make and Python only log; one of their commands may fail, and one never end."""
    for path in (tmp_path / "bin" / "make", tmp_path / ".venv" / "bin" / "python", tmp_path / ".ci" / "run"):
        path.parent.mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    for path in (tmp_path / "bin" / "make", tmp_path / ".venv" / "bin" / "python"):
        path.write_text(LOGGED.format(name=path.name))
        path.chmod(0o755)

    def start(fails: str = "", hangs: str = "") -> subprocess.Popen[bytes]:
        path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        own = {"PATH": path, "LOG": str(tmp_path / "log"), "FAILS": fails, "HANGS": hangs}
        return subprocess.Popen([Path(".ci") / "run"], cwd=tmp_path, env={**os.environ, **own}, stdin=subprocess.PIPE)

    return start


@pytest.fixture
def run(start, tmp_path):
    """Runs it to its end; the exit code and the log."""

    def run(fails: str = "") -> tuple[int, list[str]]:
        with start(fails) as process:
            process.communicate(b"typed")
        return process.returncode, (tmp_path / "log").read_text().splitlines()

    return run


def test_the_commands_run_on_one_cluster_which_is_removed_before_the_times_are_printed(run):
    assert run() == (0, MADE + AT_THE_END)


@pytest.mark.parametrize(("fails", "made"), [("test", MADE[:1]), ("e2e", MADE)])
def test_a_command_that_fails_ends_the_run_and_the_cluster_is_removed_all_the_same(run, fails, made):
    assert run(fails) == (1, made + AT_THE_END)


def test_a_cluster_that_cannot_be_removed_fails_the_run(run):
    assert run("-m tools.cluster down") == (1, MADE + AT_THE_END)


def test_records_of_an_earlier_run_are_gone(run, tmp_path):
    (tmp_path / "build" / "loop").mkdir(parents=True)
    run("test")
    assert not (tmp_path / "build" / "loop").exists()


def test_a_signal_reaches_the_command_at_once_and_the_cluster_is_removed(start, tmp_path):
    log = tmp_path / "log"
    with start(hangs="test") as process:
        until(lambda: log.exists() and log.read_text(), "make test has begun")
        process.terminate()
        process.communicate()
    assert process.returncode == 143
    assert log.read_text().splitlines() == [MADE[0], "make test has SIGTERM", *AT_THE_END]


@pytest.mark.parametrize("command", ["test", "e2e", "e2e-all"])
def test_given_the_makefile_when_make_has_sigterm_then_the_loop_has_it_too_and_has_ended(tmp_path, command):
    """Nothing may stand between the two: a shell dies of SIGTERM and tells nobody."""
    for path in ("requirements-dev.lock", "scripts/venv.sh", ".venv/ready"):  # the last is the newest
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    shutil.copy(ROOT / "Makefile", tmp_path)
    python, pid_file = tmp_path / ".venv" / "bin" / "python", tmp_path / "pid"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\necho "$$ $MAKE $*" > {pid_file}\nexec sleep 600\n')
    python.chmod(0o755)
    with subprocess.Popen(["make", command], cwd=tmp_path) as process:
        until(lambda: pid_file.exists() and pid_file.read_text(), "the loop has begun")
        pid, *words = pid_file.read_text().split()
        process.terminate()
        process.communicate()
    assert words == ["make", "-m", "tools.loop", command]
    assert not Path(f"/proc/{pid}").exists()
