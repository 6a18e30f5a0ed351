import platform
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.supervise.container import RightsError, namespace_words
from tests.supervise.pod import Pod
from tests.supervise.slow import Slow
from tools import supervise
from tools.cluster.steps import StepError

MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@pytest.fixture(scope="session")
def program() -> Path:
    try:
        return supervise.built(MACHINES[platform.machine()])
    except StepError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def _rights() -> None:
    try:
        namespace_words()
    except RightsError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def pod(tmp_path, program) -> Iterator[Pod]:
    made = Pod(tmp_path, program)
    yield made
    made.close()


@pytest.fixture(scope="session", autouse=True)
def slow(tmp_path_factory, program, _rights) -> Iterator[Slow]:
    made = Slow(tmp_path_factory.mktemp("slow"), program)
    yield made
    made.close()
