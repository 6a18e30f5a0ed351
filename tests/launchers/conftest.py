import json
import os
import platform
from pathlib import Path

import pytest

from tests.launchers.rows import NAMES
from tests.launchers.run import forget
from tests.supervise.conftest import MACHINES
from tests.supervise.container import RightsError, namespace_words
from tools import frameworks, launchers, newer_launchers, supervise
from tools.cluster.settings import BUILD, Settings
from tools.cluster.steps import StepError
from tools.newer_launchers import Launcher

RECORD = BUILD / "launchers"


def pytest_sessionstart(session) -> None:
    """Forget what an earlier run recorded, and note the names of all rows. Of many workers, only their controller does."""
    if not hasattr(session.config, "workerinput"):
        forget(RECORD)
        RECORD.mkdir(parents=True, exist_ok=True)
        (RECORD / "names.json").write_text(json.dumps(NAMES))


@pytest.fixture(scope="session")
def root() -> Path:
    """The file system with torch and the launchers, made where there is none."""
    try:
        namespace_words()
        path = launchers.root(Settings.from_environment(os.environ).cache)
        RECORD.mkdir(parents=True, exist_ok=True)
        (RECORD / "versions.json").write_text(json.dumps(launchers.versions(path) | newer_launchers.versions()))
    except (RightsError, StepError) as error:
        pytest.fail(str(error), pytrace=False)
    return path


@pytest.fixture(scope="session")
def program() -> Path:
    """A folder with supervise alone."""
    try:
        return supervise.build(MACHINES[platform.machine()]).parent
    except StepError as error:
        pytest.fail(str(error), pytrace=False)


def newer_packages(launcher: Launcher | None, root: Path) -> Path | None:
    """Return the folder with a newer launcher, made where there is none; None for Debian's own."""
    try:
        return launcher.folder(Settings.from_environment(os.environ).cache, root) if launcher else None
    except StepError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def packages(root) -> Path:
    """The folder with Lightning, Transformers, JAX and orbax, made where there is none."""
    try:
        return frameworks.folder(Settings.from_environment(os.environ).cache, root)
    except StepError as error:
        pytest.fail(str(error), pytrace=False)
