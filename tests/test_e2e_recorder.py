"""What a session of e2e tests records: each test's own seconds and outcome, apart from the fixtures that all share."""

import subprocess
import sys

import pytest

from tools.cluster.settings import ROOT
from tools.loop.record import SessionRecord, read_session

CONFTEST = """
import time
from pathlib import Path
import pytest
from e2e.recorder import Recorder

def pytest_configure(config):
    config.pluginmanager.register(Recorder("ci", Path(r"{folder}")))

class Kube:
    def get(self, kind):
        info = {{"kubeletVersion": "v1.37.2", "containerRuntimeVersion": "containerd://2.3.7", "kernelVersion": "6.1"}}
        return {{"items": [{{"status": {{"nodeInfo": info}}}}]}}

@pytest.fixture(scope="session")
def cluster():
    time.sleep(0.6)

@pytest.fixture(scope="session")
def kube(cluster):
    return Kube()

@pytest.fixture
def pod(kube):
    yield
    time.sleep(0.3)

@pytest.fixture
def broken(kube):
    raise ValueError
"""
TESTS = """
import time
import pytest

def test_first(pod):
    time.sleep(0.5)

@pytest.mark.parametrize("mode", ["native"])
def test_failed(pod, mode):
    assert mode == "container"

def test_error(broken):
    pass

def test_skipped():
    pytest.skip("not here")
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> SessionRecord:
    folder = tmp_path_factory.mktemp("session")
    (folder / "conftest.py").write_text(CONFTEST.format(folder=folder / "loop"))
    (folder / "test_row.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={folder}", str(folder)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    written = read_session("ci", folder / "loop")
    assert written is not None
    return written


def test_each_test_has_its_outcome(session):
    assert [(test.test, test.outcome) for test in session.tests] == [
        ("test_row.py::test_first", "passed"),
        ("test_row.py::test_failed[native]", "failed"),
        ("test_row.py::test_error", "error"),
        ("test_row.py::test_skipped", "skipped"),
    ]


def test_the_fixtures_of_the_session_are_no_test_s_seconds(session):
    assert session.fixture_seconds >= 0.6
    first = session.tests[0].seconds
    assert 0.8 <= first <= session.seconds - session.fixture_seconds


def test_the_versions_of_what_ran_are_recorded(session):
    assert (session.versions["Kubernetes"], session.versions["containerd"]) == ("1.37.2", "2.3.7")
    assert session.commit.isascii()
    assert len(session.date) == len("2026-11-28")
