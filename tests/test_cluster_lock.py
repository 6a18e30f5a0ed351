"""One run at a time on one cluster."""

import os
import subprocess
import sys

import pytest

from tools.cluster import lock
from tools.cluster.settings import ROOT
from tools.cluster.steps import StepError

_HOLDER = """
import sys
from pathlib import Path
from tools.cluster import lock
with lock.held(Path(sys.argv[1]), "lab"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    command = [sys.executable, "-c", _HOLDER, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_run_is_told_who_has_the_cluster_and_what_to_do(tmp_path, holder):
    with pytest.raises(StepError) as refused, lock.held(tmp_path, "lab"):
        pass
    message = str(refused.value)
    assert f"process {holder.pid}" in message
    assert "GRACEKEEPER_CLUSTER" in message


def test_another_cluster_is_free(tmp_path, holder):
    assert holder.poll() is None
    with lock.held(tmp_path, "other"):
        assert f"process {os.getpid()}" in (tmp_path / "lock-other").read_text()


def test_the_lock_of_a_run_that_was_killed_is_free(tmp_path, holder):
    holder.kill()
    holder.wait(30)
    with lock.held(tmp_path, "lab"):
        assert f"process {os.getpid()}" in (tmp_path / "lock-lab").read_text()
