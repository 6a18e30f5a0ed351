"""A pytest plugin that writes what a session of e2e tests took (tools/loop/record.py)."""

import subprocess
import time
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any

import pytest

from tools.cluster.settings import ROOT
from tools.loop.record import PASSED, Result, SessionRecord, write_session
from webhook import __version__


class Recorder:
    """Tells the seconds of each test from those of the fixtures that all tests share."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._began = time.monotonic()
        self._fixture_seconds = 0.0
        self._in_test = 0.0
        self._versions = {"gracekeeper": __version__}
        self._tests: dict[str, Result] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
        """Time a fixture of the session; ask the cluster for its versions once it is there."""
        began = time.monotonic()
        result = yield
        if fixturedef.scope == "session":
            seconds = time.monotonic() - began
            self._fixture_seconds += seconds
            self._in_test += seconds
            if fixturedef.argname == "kube":
                self._versions |= _cluster_versions(result)
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add a phase of a test; the first that did not pass is its outcome."""
        seconds = max(0.0, report.duration - self._in_test)
        self._in_test = 0.0
        before = self._tests.get(report.nodeid)
        outcome = "error" if report.failed and report.when != "call" else report.outcome
        self._tests[report.nodeid] = Result(
            report.nodeid.removeprefix("e2e/"),
            outcome if before is None or before.outcome == PASSED else before.outcome,
            round(seconds + (before.seconds if before else 0), 1),
        )

    def pytest_sessionfinish(self) -> None:
        """Write the record, whatever the outcome."""
        write_session(
            SessionRecord(
                self._target,
                _commit(),
                datetime.now(UTC).date().isoformat(),
                self._versions,
                round(time.monotonic() - self._began, 1),
                round(self._fixture_seconds, 1),
                tuple(self._tests.values()),
            )
        )


def _cluster_versions(kube: Any) -> dict[str, str]:
    node = kube.get("nodes")["items"][0]["status"]["nodeInfo"]
    return {
        "Kubernetes": node["kubeletVersion"].removeprefix("v"),
        "containerd": node["containerRuntimeVersion"].removeprefix("containerd://"),
        "kernel": node["kernelVersion"],
    }


def _commit() -> str:
    """The commit of this checkout, with a plus where files differ from it; empty where git does not know it."""
    words = ["git", "describe", "--always", "--abbrev=10", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()
