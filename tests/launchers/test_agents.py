"""Two pods with a torchrun agent each, whose ranks agree on the signal and save together: both are told, or one is."""

import socket
import threading
import time

import pytest

from tests.launchers.conftest import RECORD
from tests.launchers.rows import AGENT_ROWS, FORWARD, INTERRUPTED, WITHOUT, trainer
from tests.launchers.run import keep, stop, turn_to_start, wait_until_ranks_train
from tests.launchers.trainer_container import SUPERVISE, TrainerContainer

APART_SECONDS = 20
TOLD_APART, ONE_TOLD = AGENT_ROWS
GRACE_SECONDS = 75
AGENT = "torchrun --nnodes 2 --nproc_per_node 1 --rdzv-backend c10d --rdzv-endpoint 127.0.0.1:{port} --rdzv-id job"


class Agents:
    """Two containers of one job."""

    def __init__(self, folder, root, program, start) -> None:
        before = [SUPERVISE, "forward", "--"] if start == FORWARD else []
        words = [*before, *AGENT.format(port=_free_port()).split(), *trainer("collective").split()]
        row = folder / "row"
        self.first = TrainerContainer(folder / "first", root, program, words, row=row)
        self.second = TrainerContainer(folder / "second", root, program, words, row=row, number=1)

    def train(self) -> None:
        wait_until_ranks_train(self.first, [0, 1])

    def close(self) -> None:
        self.second.close()
        self.first.close()


@pytest.fixture
def agents(request, root, program, tmp_path):
    with turn_to_start(RECORD):
        made = Agents(tmp_path, root, program, request.param)
        try:
            made.train()
        except BaseException:
            made.close()
            raise
    yield made
    made.close()


@pytest.mark.parametrize("agents", [WITHOUT], indirect=True)
def test_both_told_apart_without_supervise_lose_the_checkpoint_at_30_s(agents):
    # when
    first, second = _stop_both(agents)
    # then
    _record(TOLD_APART, WITHOUT, first, second)
    assert first.saved == 0
    assert (first.cut_seconds, first.exit_code, second.exit_code) == (pytest.approx(30, abs=1.5), 1, 1)


@pytest.mark.parametrize("agents", [FORWARD], indirect=True)
@pytest.mark.ci
def test_both_told_apart_with_supervise_save_it(agents):
    # when
    first, second = _stop_both(agents)
    # then
    _record(TOLD_APART, FORWARD, first, second)
    assert (first.saved, first.cut_seconds) == (2, None)
    assert (first.exit_code, second.exit_code) == (INTERRUPTED, INTERRUPTED)


@pytest.mark.parametrize("agents", [WITHOUT], indirect=True)
def test_one_told_without_supervise_loses_the_checkpoint_of_both(agents):
    # when
    first, _ = stop(agents.first, GRACE_SECONDS)
    second_code = agents.second.ends(GRACE_SECONDS)
    # then
    keep(RECORD, ONE_TOLD, WITHOUT, f"{first} and {second_code}")
    assert (first.saved, first.exit_code) == (0, 1)
    assert first.cut_seconds == pytest.approx(30, abs=1.5)
    assert second_code != 0


@pytest.mark.parametrize("agents", [FORWARD], indirect=True)
def test_one_told_with_supervise_saves_the_checkpoint_of_both(agents):
    # when
    first, _ = stop(agents.first, GRACE_SECONDS)
    second_code = agents.second.ends(GRACE_SECONDS)
    # then
    keep(RECORD, ONE_TOLD, FORWARD, f"{first} and {second_code}")
    assert (first.saved, first.cut_seconds, first.exit_code) == (2, None, INTERRUPTED)
    assert second_code == 0


def _stop_both(agents):
    """The outcome as the first container's end shows it, and as the second's, which is told later."""
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(stop(agents.first, GRACE_SECONDS)[0]))
    thread.start()
    time.sleep(APART_SECONDS)
    second, _ = stop(agents.second, GRACE_SECONDS)
    thread.join()
    return outcomes[0], second


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _record(row, start, first, second) -> None:
    keep(RECORD, row, start, f"{first} and {second.exit_code}")
