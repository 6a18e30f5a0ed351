"""torchrun that is told to stop before its ranks have a handler: nothing can be saved, and nobody waits."""

import pytest

from tests.launchers.conftest import RECORD
from tests.launchers.rows import FORWARD, TORCHRUN, WITHOUT
from tests.launchers.run import START_SECONDS, turn_to_start
from tests.launchers.trainer_container import SUPERVISE, TrainerContainer
from tests.supervise.container import until

RANK = "-u /trainers/slow_start.py"


@pytest.mark.parametrize("start", [WITHOUT, pytest.param(FORWARD, marks=pytest.mark.ci)])
def test_ranks_that_are_told_before_they_have_a_handler_end_at_once(start, root, program, tmp_path):
    # given
    before = [SUPERVISE, "forward", "--"] if start == FORWARD else []
    with turn_to_start(RECORD):
        words = [*before, *TORCHRUN.split(), "/trainers/slow_start.py"]
        container = TrainerContainer(tmp_path, root, program, words)
        until(lambda: _ranks(container) == 2, "two ranks", START_SECONDS)
    # when
    container.signal()
    # then
    try:
        assert container.ends(20) == 1, container.stderr
    finally:
        container.close()
    assert list(container.row.iterdir()) == []


def _ranks(container) -> int:
    return sum(RANK in line for line in container.processes().values())
