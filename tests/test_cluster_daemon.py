"""Docker's daemon is started for others to use: it is nobody's child for long."""

import gc
import os
import signal

import pytest

from tools.cluster import daemon


@pytest.fixture
def a_daemon_on_path(tmp_path, monkeypatch):
    """A program named dockerd that runs on."""
    program = tmp_path / "dockerd"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(daemon, "_LOG", tmp_path / "log")
    monkeypatch.setattr(daemon, "_PID_FILES", ())


@pytest.mark.usefixtures("a_daemon_on_path")
def test_a_daemon_that_runs_on_is_no_loose_end_of_who_started_it(tmp_path):
    """Given a start, when nobody holds it any more, then it runs on and no ResourceWarning ends a test session."""
    process_id = daemon.start(tmp_path)
    try:
        gc.collect()
        assert os.getsid(process_id) == process_id
        assert (tmp_path / "log").exists()
    finally:
        os.kill(process_id, signal.SIGKILL)
        os.waitpid(process_id, 0)
