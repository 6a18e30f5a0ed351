"""The page docs/release-tests.md: what `make e2e-all` alone runs, and how it ended last.

`make e2e-all` writes it at its end, from its record in build/loop/. `python -m tools.loop release-tests` writes it again.
"""

import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.cluster.settings import ROOT
from tools.loop.record import SessionRecord, read_session

PAGE = ROOT / "docs" / "release-tests.md"
TARGETS = ("release", "old_cluster")
NOT_RUN = "not run yet"
_HEADER = """\
# What is tested before a release

CI runs one test of a kind ([architecture.md](architecture.md#tests)). `make e2e-all` runs the others on a real kind cluster,
and some on a cluster whose API server drops native sidecars. It writes this page from its own record: do not edit it.
A `+` after a commit means that files differed from it.

| test | result | seconds | Kubernetes | containerd | commit | date |
|---|---|---|---|---|---|---|
"""
_CELLS = 7


@dataclass(frozen=True, slots=True)
class Row:
    """A test, and how it ended when it was run last."""

    test: str
    rest: tuple[str, ...] = (NOT_RUN, "", "", "", "", "")

    def __str__(self) -> str:
        """The line of the table."""
        return f"| {' | '.join((self.test, *self.rest))} |"


def write_page(tests: Iterable[str], records: Path, path: Path) -> None:
    """Write the page anew: a line for each of the tests, from the records of this run and from the page as it is."""
    sessions = [session for target in TARGETS if (session := read_session(target, records))]
    before = rows(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(page(tests, before, sessions), encoding="utf-8")


def page(tests: Iterable[str], before: Mapping[str, Row], sessions: Iterable[SessionRecord]) -> str:
    """The page with a line for each test: as it ended in these sessions, else as the page had it, else not run."""
    now = {row.test: row for session in sessions for row in _rows_of(session)}
    names = [sentence(test) for test in tests]
    lines = [str(now.get(name) or before.get(name) or Row(name)) for name in names]
    return _HEADER + "".join(f"{line}\n" for line in lines)


def rows(text: str) -> dict[str, Row]:
    """The lines of a page, by their tests."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")
    ]
    rows_of_page = [Row(first, tuple(rest)) for first, *rest in cells[2:] if len(rest) == _CELLS - 1]
    return {row.test: row for row in rows_of_page}


def collected() -> list[str]:
    """The tests that only `make e2e-all` runs, as pytest names them."""
    tests: list[str] = []
    for target in TARGETS:
        command = [sys.executable, "-m", "pytest", "--collect-only", "-q", f"--target={target}", "e2e"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        tests += [line for line in done.stdout.splitlines() if "::" in line]
    return tests


def sentence(test: str) -> str:
    """A test's name as people read it, and its row.

    >>> sentence("e2e/test_osmo.py::test_given_a_task_when_deleted_then_it_is_saved[pre-stop-native]")
    'osmo: given a task when deleted then it is saved (pre-stop-native)'
    """
    file, _, name = test.partition("::")
    name, _, row = name.removeprefix("test_").partition("[")
    about = re.sub(r"^test_|\.py$", "", Path(file).name).replace("_", " ")
    row = row.removesuffix("]")
    return f"{about}: {name.replace('_', ' ')}" + (f" ({row})" if row else "")


def _rows_of(session: SessionRecord) -> list[Row]:
    versions = [session.versions.get(name, "") for name in ("Kubernetes", "containerd")]
    return [
        Row(sentence(test.test), (test.outcome, f"{test.seconds:g}", *versions, session.commit, session.date))
        for test in session.tests
    ]
