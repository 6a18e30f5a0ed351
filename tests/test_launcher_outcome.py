"""What the harness of tests/launchers makes of the files that ranks leave."""

import os

import pytest

from tests.launchers.outcome import Ending, outcome
from tests.launchers.rows import Expected, cut, forwarded, saved, unheard
from tests.launchers.test_launchers import compare

TOLD_AT = 1000.0


@pytest.fixture
def write_rank(tmp_path):
    def write(number: int, last_seen: float, *events: tuple[float, str]) -> None:
        lines = [f"{TOLD_AT + seconds:.3f} {event}\n" for seconds, event in events]
        (tmp_path / f"rank-{number}.log").write_text("".join(lines))
        (tmp_path / f"rank-{number}.alive").touch()
        os.utime(tmp_path / f"rank-{number}.alive", (TOLD_AT + last_seen,) * 2)

    return write


def _ended(seconds: float, code: int, killed: float | None = None) -> Ending:
    return Ending(TOLD_AT, TOLD_AT + seconds, code, None if killed is None else TOLD_AT + killed)


BEGAN = ((-9.0, "catches"), (-8.0, "trains"))
SAVED = (*BEGAN, (0.1, "told-15"), (34.0, "saved"), (34.0, "ends-0"))


def test_ranks_that_saved_and_ended_were_not_cut(tmp_path, write_rank):
    # given
    write_rank(0, 34.0, *SAVED)
    write_rank(1, 34.1, *SAVED)
    # when
    seen = outcome(tmp_path, _ended(36, 143))
    # then
    assert str(seen) == "2/2, -, 143"
    assert list(compare(seen, forwarded(2))) == []


def test_a_rank_that_its_launcher_killed_was_cut_when_it_was_seen_last(tmp_path, write_rank):
    # given
    write_rank(0, 34.0, *SAVED)
    write_rank(1, 30.0, *BEGAN, (0.1, "told-15"))
    # when
    seen = outcome(tmp_path, _ended(34, 1))
    # then
    assert str(seen) == "1/2, 30.0, 1"
    assert list(compare(seen, cut(30, number=1))) == []


def test_a_rank_that_lived_until_the_end_of_the_grace_was_killed_by_the_kubelet(tmp_path, write_rank):
    # given
    write_rank(0, 44.9, *BEGAN)
    # when
    seen = outcome(tmp_path, _ended(47, 137, killed=45))
    # then
    assert str(seen) == "0/1, end, 137"
    assert list(compare(seen, unheard())) == []


def test_a_rank_that_begins_again_after_the_save_and_is_killed_was_not_cut(tmp_path, write_rank):
    # given: torchrun restarts ranks that ended with 1, and supervise kills the new ones
    for number in (0, 1):
        write_rank(number, 36.0, *SAVED[:-1], (34.0, "ends-1"), (35.5, "catches"), (35.6, "trains"))
    # when
    seen = outcome(tmp_path, _ended(37, 1))
    # then
    assert str(seen) == "2/2, -, 1"
    assert list(compare(seen, forwarded(2, 1, told=None, begun_again=2))) == []


def test_a_rank_without_a_handler_could_not_save_unless_it_did(tmp_path, write_rank):
    # given
    write_rank(0, 0.2, (-8.0, "trains"))
    write_rank(1, 4.0, (-8.0, "trains"), (3.0, "saved"), (3.0, "ends-0"))
    # when
    seen = outcome(tmp_path, _ended(4, 143))
    # then
    assert str(seen) == "1/1, -, 143"


@pytest.mark.parametrize(
    ("expected", "difference"),
    [
        (saved(1, 143), "saved 2, code 143; expected 1, code 143"),
        (saved(2, 0), "saved 2, code 143; expected 2, code 0"),
        (cut(30, 143, number=2), "first rank killed: -; expected 30"),
        (Expected(2, 143, cut_at_end=True), "first rank killed: -; expected end"),
        (saved(2, 143, told=2), "told (1, 1) times; expected 2 each"),
        (saved(2, 143, told_within=0.05), "told after (0.1, 0.1) s; expected all within 0.05 s"),
        (saved(2, 143, ends_within=8), "ended after 36.0 s; expected within 8 s"),
        (saved(2, 143, begun_again=2), "0 ranks began again; expected 2"),
    ],
    ids=["saved", "code", "cut", "cut at the end", "told", "told within", "ends within", "begun again"],
)
def test_every_difference_is_told(expected, difference, tmp_path, write_rank):
    # given
    write_rank(0, 34.0, *SAVED)
    write_rank(1, 34.1, *SAVED)
    # when
    differences = list(compare(outcome(tmp_path, _ended(36, 143)), expected))
    # then
    assert differences == [difference]
