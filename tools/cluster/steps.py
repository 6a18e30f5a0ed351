"""Running other programs, and saying on standard error what takes time; standard output is for results."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_TAIL_LINES = 30


class StepError(Exception):
    """Something could not be done; the message is what a person needs to know."""


def say(text: str) -> None:
    """One line for the person who waits."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def step(description: str, usually: str = "") -> Iterator[None]:
    """Says what begins and how long it usually takes, then how long it took."""
    say(f"  {description}{f' (usually {usually})' if usually else ''} ...")
    began = time.monotonic()
    yield
    say(f"    {time.monotonic() - began:.1f} s")


def run(
    command: Sequence[str | Path],
    *,
    text: str | None = None,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
    timeout_seconds: float | None = None,
) -> str:
    """Standard output of a command that must succeed."""
    done = attempt(command, text=text, directory=directory, environment=environment, timeout_seconds=timeout_seconds)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-_TAIL_LINES:])
        raise StepError(f"{' '.join(map(str, command))}\nended with {done.returncode}:\n{tail}")
    return done.stdout


def attempt(
    command: Sequence[str | Path],
    *,
    text: str | None = None,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
    timeout_seconds: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """A command whose failure is an answer; one that is missing or too slow failed."""
    try:
        return subprocess.run(  # noqa: PLW1510 the caller looks at the code
            list(map(str, command)),
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            cwd=directory,
            env=None if environment is None else dict(environment),
            timeout=timeout_seconds,
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(list(command), 127, "", f"{command[0]}: not found")
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(list(command), 124, "", f"no answer within {timeout_seconds} s")


def pipe(source: Sequence[str | Path], sink: Sequence[str | Path]) -> str:
    """Standard output of `sink`, fed with that of `source`; both must succeed."""
    with subprocess.Popen(list(map(str, source)), stdout=subprocess.PIPE) as first:
        done = subprocess.run(list(map(str, sink)), stdin=first.stdout, capture_output=True, text=True, check=False)
        if first.stdout:
            first.stdout.close()
    if first.returncode or done.returncode:
        raise StepError(f"{' '.join(map(str, source))} | {' '.join(map(str, sink))}\n{done.stderr.strip()}")
    return done.stdout
