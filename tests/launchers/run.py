"""Runs a row: starts its containers, tells them to stop as a kubelet would, and reads what became of the ranks."""

import fcntl
import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.launchers.outcome import Ending, Outcome, outcome, ranks
from tests.launchers.trainer_container import TrainerContainer

START_SECONDS = 120
"""Until all ranks train; the machine is shared, and each imports torch."""
_STARTING_AT_ONCE = 3
_LOOK_SECONDS = 0.2


@contextmanager
def turn_to_start(folder: Path, *, alone: bool = False) -> Iterator[None]:
    """Wait until fewer than a few other rows start, or none: imports of torch keep a core busy, saves do not."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [(folder / f"starting-{number}").open("w") for number in range(_STARTING_AT_ONCE)]
    try:
        if alone:
            for file in files:  # in the same order for all, so that no two wait for each other
                fcntl.flock(file, fcntl.LOCK_EX)
        while not any(_locked(file.fileno()) for file in files):
            time.sleep(0.2)
        yield
    finally:
        for file in files:
            file.close()


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_until_ranks_train(container: TrainerContainer, numbers: Sequence[int]) -> None:
    """Wait until these ranks have said that they train; AssertionError with the container's output otherwise."""
    deadline = time.monotonic() + START_SECONDS
    while not all((log := ranks(container.row).get(number)) and log.times("trains") for number in numbers):
        assert container.running, f"ended before it trained: {container.stdout} {container.stderr}"
        assert time.monotonic() < deadline, f"does not train: {container.stdout} {container.stderr} {container.tree()}"
        time.sleep(0.1)


def stop(
    container: TrainerContainer, grace_seconds: float, again_seconds: float | None = None
) -> tuple[Outcome, list[str]]:
    """Send SIGTERM to PID 1, and SIGKILL at the end of the grace, as a kubelet does; also the process tree as it changed."""
    told_at = time.time()
    container.signal()
    trees = Trees(container, told_at)
    killed_at, again = None, again_seconds
    while container.running:
        passed = time.time() - told_at
        if again is not None and passed > again:
            container.signal()
            again = None
        trees.look()
        if passed > grace_seconds:
            killed_at = time.time()
            container.signal(signal.SIGKILL)
            break
        time.sleep(_LOOK_SECONDS)
    code = container.ends()
    code = code if killed_at is None else 128 + signal.SIGKILL  # unshare itself says 1 then
    return outcome(container.row, Ending(told_at, time.time(), code, killed_at)), trees.lines


class Trees:
    """The process tree of a container, whenever processes came or went."""

    def __init__(self, container: TrainerContainer, began: float) -> None:
        self._container, self._began = container, began
        self._last: list[str] = []
        self.lines: list[str] = []

    def look(self) -> None:
        """Note the tree if it has changed."""
        if self._container.running:
            try:
                tree = self._container.tree()
            except (OSError, subprocess.SubprocessError):
                return
            if tree != self._last:
                self._last = tree
                self.lines += [f"--- {time.time() - self._began:.1f} s", *tree]


def forget(folder: Path) -> None:
    """Remove the records of an earlier run, so that the table gets no cell that this run has not seen."""
    for record in (folder / "rows").glob("*.json"):
        record.unlink()


def keep(folder: Path, row: str, start: str, cell: str, **more: object) -> None:
    """Record a run: for the table in docs/signals.md, and for a person who looks into it."""
    records = folder / "rows"
    records.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^a-z0-9]+", "-", f"{row} {start}".lower()).strip("-")
    told = {"row": row, "start": start, "cell": cell, **more}
    (records / f"{name}.json").write_text(json.dumps(told, indent=1) + "\n")
