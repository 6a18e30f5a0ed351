"""Real launchers without and with `supervise forward`: who is told to stop, who saves, and when it is cut."""

import pytest

from tests.launchers.conftest import RECORD, newer_packages
from tests.launchers.outcome import Outcome
from tests.launchers.rows import FORWARD, ROWS, WITHOUT, Expected
from tests.launchers.run import keep, stop, turn_to_start, wait_until_ranks_train
from tests.launchers.trainer_container import SUPERVISE, TrainerContainer

SLACK_SECONDS = 1.5
"""What a loaded machine takes from a clock."""
RUNS = [(row, start) for row in ROWS for start in (WITHOUT, FORWARD) if getattr(row, start)]


@pytest.mark.parametrize(
    ("row", "start"),
    [
        pytest.param(row, start, id=f"{row.name} {start}", marks=[pytest.mark.ci] if row.ci else [])
        for row, start in RUNS
    ],
)
def test_a_trainer_that_is_told_to_stop(row, start, root, program, tmp_path):
    # given
    expected = getattr(row, start)
    words = [SUPERVISE, "forward", "--", *row.command] if start == FORWARD else row.command
    packages = newer_packages(row.packages, root)
    with turn_to_start(RECORD, alone=row.starts_alone):
        container = TrainerContainer(
            tmp_path, root, program, words, environment=dict(row.environment), packages=packages
        )
        try:
            wait_until_ranks_train(container, range(row.ranks))
        except BaseException:
            container.close()
            raise
    # when
    try:
        outcome, tree = stop(container, expected.grace_seconds, row.again_seconds)
    finally:
        container.close()
    # then
    differences = list(compare(outcome, expected))
    keep(
        RECORD,
        row.name,
        start,
        str(outcome),
        outcome=outcome.as_json(),
        differences=differences,
        tree=tree,
    )
    assert not differences, "\n".join([*differences, str(outcome), *tree, container.stderr[-4000:]])


def compare(outcome: Outcome, expected: Expected):
    """Say what is not as expected."""
    if outcome.saved != expected.saved or expected.code not in {None, outcome.exit_code}:
        yield f"saved {outcome.saved}, code {outcome.exit_code}; expected {expected.saved}, code {expected.code}"
    if (outcome.cut == "end") != expected.cut_at_end or not _near(outcome.cut_seconds, expected):
        yield f"first rank killed: {outcome.cut}; expected {expected.cut_seconds or ('end' if expected.cut_at_end else '-')}"
    if expected.told is not None and set(outcome.told) - {expected.told}:
        yield f"told {outcome.told} times; expected {expected.told} each"
    if expected.told_within and (not outcome.told_seconds or max(outcome.told_seconds) > expected.told_within):
        yield f"told after {outcome.told_seconds} s; expected all within {expected.told_within} s"
    if expected.ends_within and outcome.ended_seconds > expected.ends_within:
        yield f"ended after {outcome.ended_seconds} s; expected within {expected.ends_within} s"
    if expected.begun_again is not None and outcome.begun_again != expected.begun_again:
        yield f"{outcome.begun_again} ranks began again; expected {expected.begun_again}"


def _near(seconds: float | None, expected: Expected) -> bool:
    if expected.cut_at_end:
        return True
    if seconds is None or expected.cut_seconds is None:
        return seconds is expected.cut_seconds
    return abs(seconds - expected.cut_seconds) <= SLACK_SECONDS
