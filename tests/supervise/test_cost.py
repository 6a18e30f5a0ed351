"""What supervise takes from a pod while it waits."""

import subprocess
import time
from pathlib import Path

from tests.supervise.container import status

MEBIBYTE = 1 << 20


def test_the_program_is_small_and_static(program):
    # then
    assert program.stat().st_size < 5_000_000
    assert b"/ld-linux" not in program.read_bytes()


def test_it_is_small_and_idle(pod, tmp_path):
    # given: here, and as on a node with 256 processors
    containers = []
    for folder, prepare in ((pod.folder, ":"), (tmp_path / "other", "export GOMAXPROCS=256")):
        subprocess.run([pod.program, "install", "--folder", folder], check=True)
        there = ["--folder", folder]
        containers += [
            pod.run(pod.program, *words, prepare=prepare)
            for words in (
                ["hold", *there, "--grace", "30", "--", "sleep", "600"],
                ["forward", "--", "sleep", "600"],
                ["forward", *there, "--below", "--", "sleep", "600"],
                ["gate", *there],
            )
        ]
    for container in containers:
        container.listens()
    before = [_seconds_of_processor(container.pid) for container in containers]
    # when
    time.sleep(3)
    # then: a millisecond at most, on a machine that does nothing else
    spent = [_seconds_of_processor(container.pid) - was for container, was in zip(containers, before, strict=True)]
    assert max(spent) < 0.03, spent
    resident = [_resident_bytes(container.pid) / MEBIBYTE for container in containers]
    assert max(resident) < 5, resident


def _seconds_of_processor(pid: int) -> float:
    return sum(int(file.read_text().split()[0]) for file in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def _resident_bytes(pid: int) -> int:
    return int(status(Path(f"/proc/{pid}/status"), "VmRSS")) * 1024
