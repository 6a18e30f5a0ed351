"""`python -m tools.loop test|e2e|e2e-all` runs the parts of a command; `python -m tools.loop table` tells of the last run.

`e2e-all` also writes docs/release-tests.md at its end; `python -m tools.loop release-tests` writes it again.

Progress and the table are on standard output, where the output of the parts is.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.cluster.settings import ROOT
from tools.loop import record
from tools.loop.parts import COMMANDS, Step
from tools.loop.release_tests import PAGE, collected, write_page
from tools.loop.table import clock, table

INTERRUPTED = 130
BUDGET_MINUTES = 46
"""Of `.ci/run` with warm caches; 70 from nothing."""
BEGAN = "GRACEKEEPER_LOOP_BEGAN"
"""Set by .ci/run: when it began, in seconds of the epoch."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the result is the exit code of the first step that failed."""
    parser = argparse.ArgumentParser(prog="python -m tools.loop", description="Run the parts of the test loop.")
    parser.add_argument("command", choices=[*COMMANDS, "table", "release-tests"])
    command, make = parser.parse_args(arguments).command, os.environ.get("MAKE", "make")
    try:
        match command:
            case "table":
                _say(*_whole_table(os.environ, time.time()))
                return 0
            case "release-tests":
                write_page(collected(), record.FOLDER, PAGE)
                return 0
            case "e2e-all":
                return run_and_write_page(command, make, record.FOLDER, PAGE, collected())
            case _:
                return run(command, make, record.FOLDER)
    except KeyboardInterrupt:
        return INTERRUPTED


def run_and_write_page(command: str, make: str, folder: Path, page: Path, tests: Sequence[str]) -> int:
    """Run a command, then write the page with a line for each of these tests; the result is that of `run`."""
    code = run(command, make, folder)
    write_page(tests, folder, page)
    return code


def run(command: str, make: str, folder: Path) -> int:
    """Run the steps of a command until one fails, then print what each took; the result is the exit code of the last."""
    steps: list[record.StepRecord] = []
    record.forget(command, folder)
    try:
        for step in COMMANDS[command]:
            steps.append(_timed(step, make))
            record.write_steps(command, steps, folder)
            if steps[-1].exit_code:
                break
    finally:
        _say("", *_command_table(command, folder))
    return steps[-1].exit_code


def _timed(step: Step, make: str) -> record.StepRecord:
    """Run a target of the Makefile; SIGTERM is passed on to it, and its end is waited for."""
    _say("", f"=== make {step.make_target}")
    began = time.monotonic()
    with subprocess.Popen([make, step.make_target], cwd=ROOT) as process:
        before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        try:
            code = process.wait()
        finally:
            signal.signal(signal.SIGTERM, before)
    return record.StepRecord(step.make_target, time.monotonic() - began, code)


def _command_table(command: str, folder: Path) -> list[str]:
    session = record.read_session("ci", folder) if command == "e2e" else None
    return table(command, record.read_steps(command, folder), session)


def _whole_table(environment: Mapping[str, str], now: float) -> list[str]:
    """What `make test` and `make e2e` took, and .ci/run around them."""
    lines = [line for command in ("test", "e2e") for line in _command_table(command, record.FOLDER)]
    if BEGAN in environment:
        lines.append(f".ci/run took {clock(now - float(environment[BEGAN]))} of {BUDGET_MINUTES}:00 with warm caches")
    return lines


def _say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
