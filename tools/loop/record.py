"""What a run of the test loop writes into build/loop/: a file for each command, and one for each session of e2e tests."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tools.cluster.settings import BUILD
from tools.loop.parts import COMMANDS

FOLDER = BUILD / "loop"
PASSED = "passed"


@dataclass(frozen=True, slots=True)
class StepRecord:
    """How a step of a command ended."""

    make_target: str
    seconds: float
    exit_code: int


@dataclass(frozen=True, slots=True)
class Result:
    """How an e2e test ended: passed, failed, error or skipped."""

    test: str
    """Its file below e2e/ and its name, as pytest writes them."""
    outcome: str
    seconds: float


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session of e2e tests."""

    target: str
    commit: str
    date: str
    versions: dict[str, str] = field(default_factory=dict)
    """Of what ran: Kubernetes, containerd, gracekeeper."""
    seconds: float = 0
    fixture_seconds: float = 0
    """What the cluster, the images and the release took to make; no test's own time."""
    tests: Sequence[Result] = ()


def write_steps(command: str, steps: Sequence[StepRecord], folder: Path = FOLDER) -> None:
    """Write what the steps of a command took so far."""
    _write(_command_file(command, folder), [asdict(step) for step in steps])


def read_steps(command: str, folder: Path = FOLDER) -> list[StepRecord]:
    """The steps that a command has run; none where it has not."""
    path = _command_file(command, folder)
    return [StepRecord(**step) for step in json.loads(path.read_text())] if path.exists() else []


def write_session(session: SessionRecord, folder: Path = FOLDER) -> None:
    """Write what a session of e2e tests took."""
    _write(_session_file(session.target, folder), asdict(session))


def read_session(target: str, folder: Path = FOLDER) -> SessionRecord | None:
    """The last session of a target's e2e tests, if there was one."""
    path = _session_file(target, folder)
    if not path.exists():
        return None
    stored = json.loads(path.read_text())
    return SessionRecord(**{**stored, "tests": tuple(Result(**test) for test in stored["tests"])})


def forget(command: str, folder: Path = FOLDER) -> None:
    """Remove what earlier runs of a command wrote, so that none of it is taken for this run's."""
    _command_file(command, folder).unlink(missing_ok=True)
    for step in COMMANDS[command]:
        _session_file(step.e2e_target, folder).unlink(missing_ok=True)


def _command_file(command: str, folder: Path) -> Path:
    return folder / f"command-{command}.json"


def _session_file(target: str, folder: Path) -> Path:
    return folder / f"session-{target}.json"


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")
