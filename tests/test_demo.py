"""The first half of `make demo`, run for real as a person runs it; the second half needs a cluster."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 60
COMMAND = [sys.executable, "-m", "demo", "--without-cluster"]


@pytest.fixture(scope="module")
def printed() -> str:
    """What a pipe gets."""
    done = subprocess.run(COMMAND, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def section(printed: str, title: str) -> str:
    """From one title to the next blank line after its explanation."""
    return printed.partition(f"{title}\n")[2].partition("\n\n")[0]


def test_a_pod_with_a_size_is_shown_before_and_after_with_its_reasons(printed):
    shown = section(printed, "A pod that trains with torchrun and says how big its checkpoint is")
    assert "POST /mutate -> allowed, 4 changes, in " in shown
    for line in (
        "-  terminationGracePeriodSeconds: 30",
        "+  terminationGracePeriodSeconds: 251",
        "+    - name: TORCH_ELASTIC_SHUTDOWN_TIMEOUT",
        "+      value: '246'",
        "grace: 30 s -> 251 s",
    ):
        assert line in shown
    assert re.search(r"\+ +gracekeeper.dev/decision: '\{", shown)
    assert re.search(r"write +87.74 s +checkpoint / write-throughput", shown)


def test_a_kubeflow_worker_without_a_size_gets_the_default(printed):
    shown = section(printed, "A worker of a Kubeflow PyTorchJob that says nothing of its size")
    assert "+  terminationGracePeriodSeconds: 600" in shown
    assert "because: label training.kubeflow.org/job-name" in shown
    assert "argument --save-dir" in shown


def test_an_unreadable_value_is_told_and_blocks_nothing(printed):
    shown = section(printed, "A pod whose size cannot be read: it is created all the same, and its owner is told")
    assert "allowed, 3 changes" in shown
    assert "kubectl would print: Warning: gracekeeper: ignored checkpoint-size=80Gb: a lower-case b means bits" in shown


def test_the_pod_of_a_deployment_is_left_as_it_is(printed):
    shown = section(printed, "A pod of a Deployment")
    assert "allowed, left as it is" in shown
    assert "owned by a ReplicaSet" in shown
    assert "\n  +" not in shown


def test_the_server_s_own_count_agrees(printed):
    assert "The server's /metrics say: 3 pods patched." in printed


def test_the_volume_s_speed_counts_where_the_cluster_tells_it(printed):
    shown = section(printed, "The first pod again, when its volume is known")
    assert "$ gracekeeper mutate -f docs/examples/pod.yaml --objects docs/examples/objects.yaml -o explain" in shown
    assert "StorageClass gp3: gp3 throughput 125 MiB/s" in shown
    assert "grace: 30 s -> 216 s" in shown


def test_without_a_terminal_there_are_no_colours_and_no_traces_of_code(printed):
    assert "\x1b" not in printed
    assert "Traceback" not in printed


def test_a_server_that_cannot_start_is_one_clear_line(tmp_path):
    (tmp_path / "uvloop.py").write_text("raise OSError('no event loop here')\n")
    done = subprocess.run(
        COMMAND,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("demo: the server did not get ready, its last line: ")
    assert "no event loop here" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.fixture
def listens_to_ctrl_c():
    """A job that a shell put in the background ignores SIGINT, and so does whatever it starts."""
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, inherited)


@pytest.mark.usefixtures("listens_to_ctrl_c")
def test_ctrl_c_ends_it_with_one_line_and_leaves_no_server(tmp_path):
    process = subprocess.Popen(
        COMMAND,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    end = time.monotonic() + PATIENCE_SECONDS
    while not any(tmp_path.glob("gracekeeper-demo-*/log")):
        assert time.monotonic() < end
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, complaint = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert complaint.strip().startswith("demo: stopped; ")
    assert "Traceback" not in complaint
    assert list(tmp_path.glob("gracekeeper-demo-*")) == []
