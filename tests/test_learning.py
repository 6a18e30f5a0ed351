"""What earlier runs teach: the four runs of a workload, one after the other, and the bounds of it."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from webhook.policy.observed.learning import GraceTerms, Learned, learned_grace
from webhook.policy.observed.memory import Lesson, Memory, Sample, remembering
from webhook.policy.observed.termination import Termination, TerminationClass

DAY = 86_400
OWN = GraceTerms(own=30, evidence_default=60, maximum=180)
WITH_EVIDENCE = GraceTerms(own=30, default=60, evidence_default=60, maximum=180)
Run = Callable[[int], Termination]


def saves_in(seconds: int) -> Run:
    """A workload that needs so long: in time with more grace, else cut."""

    def run(grace_seconds: int) -> Termination:
        if seconds <= grace_seconds:
            return Termination(TerminationClass.STOPPED, max(seconds, 3), grace_seconds)
        return Termination(TerminationClass.CUT, grace_seconds, grace_seconds)

    return run


def ignores(grace_seconds: int) -> Termination:
    return Termination(TerminationClass.CUT, grace_seconds, grace_seconds)


def has_no_handler(grace_seconds: int) -> Termination:
    return Termination(TerminationClass.NO_HANDLER, granted_seconds=grace_seconds)


def is_overridden(_grace_seconds: int) -> Termination:
    return Termination(TerminationClass.OVERRIDDEN, granted_seconds=5)


def has_a_broken_gang(grace_seconds: int) -> Termination:
    return Termination(TerminationClass.GANG_BROKEN, granted_seconds=grace_seconds)


def graces(run: Run, terms: GraceTerms, runs: int, *, exact: bool = True, seconds_between: int = DAY) -> list[int]:
    """The grace of each run, where each learns from those before; under the coarse name every run has another exact one."""
    memory, key, given = Memory(), ("ml", "w"), []
    for number in range(runs):
        samples = memory.samples_of(*key)
        learned = learned_grace(samples, samples, terms) if exact else learned_grace((), samples, terms)
        given.append(terms.without_memory if learned is None else learned.seconds)
        began = number * seconds_between
        termination = replace(run(given[-1]), began=began, created=began - seconds_between // 2)
        memory = remembering(memory, key, termination)
    return given


@pytest.mark.parametrize(
    ("run", "terms", "expected"),
    [
        (saves_in(45), OWN, [30, 60, 83, 83, 83, 83]),
        (saves_in(100), OWN, [30, 60, 180, 180, 180, 165, 165]),
        (saves_in(10), OWN, [30, 30, 30, 30]),
        (ignores, OWN, [30, 60, 180, *[30] * 12]),
        (has_no_handler, WITH_EVIDENCE, [60, 60, 30, 30]),
        (is_overridden, OWN, [30, 30, 30]),
        (has_a_broken_gang, OWN, [30, 30, 30]),
        (saves_in(10), WITH_EVIDENCE, [60, 60, 60, 30, 30]),
        (ignores, WITH_EVIDENCE, [60, 180, 30, 30, 30, 30, 30, 30]),
        (saves_in(1000), OWN, [30, 60, 180, 30, 30]),
    ],
    ids=[
        "45 s",
        "100 s",
        "10 s",
        "ignores",
        "no handler",
        "overridden",
        "gang",
        "10 s of a default",
        "ignores, by default",
        "too long",
    ],
)
def test_the_runs_of_a_workload_get_these_graces(run, terms, expected):
    assert graces(run, terms, len(expected)) == expected
    assert graces(run, terms, len(expected), seconds_between=60) == expected


@pytest.mark.parametrize(
    ("run", "terms", "expected"),
    [
        (saves_in(45), OWN, [30, 60, 83, 83, 83]),
        (saves_in(100), OWN, [30, 60, 180, 180, 180, 180, 180, 165]),
        (has_no_handler, WITH_EVIDENCE, [60, 60, 60, 60]),
        (saves_in(10), WITH_EVIDENCE, [60, 60, 60, 60, 60]),
        (ignores, WITH_EVIDENCE, [60, 180, 60, 60]),
    ],
)
def test_the_coarse_name_only_raises(run, terms, expected):
    assert graces(run, terms, len(expected), exact=False) == expected


@pytest.mark.parametrize("run", [saves_in(3), saves_in(45), saves_in(100), ignores, has_no_handler])
@pytest.mark.parametrize("own", [5, 30, 100, 180, 900])
@pytest.mark.parametrize("stated", [None, 10, 120, 400])
@pytest.mark.parametrize("default", [None, 60])
def test_no_grace_is_below_what_the_pod_brings_or_somebody_states(run, own, stated, default):
    terms = GraceTerms(own=own, stated=stated, default=default, evidence_default=60, maximum=180)
    for exact in (True, False):
        given = graces(run, terms, 8, exact=exact)
        assert all(seconds >= own for seconds in given)
        assert all(seconds <= max(own, 180) for seconds in given)
        if stated is not None or not exact:
            assert all(seconds >= terms.without_memory for seconds in given)


def cut(granted: int, lesson: Lesson = Lesson.CUT, seconds: int | None = None) -> Sample:
    return Sample(0, granted if seconds is None else seconds, granted, lesson)


def in_time(seconds: int, granted: int = 60) -> Sample:
    return Sample(0, seconds, granted, Lesson.STOPPED)


def told(samples: Sequence[Sample], terms: GraceTerms = OWN) -> tuple[int, Learned] | None:
    learned = learned_grace(samples, (), terms)
    return None if learned is None else (learned.seconds, learned.why)


def test_a_week_of_audit_in_which_every_run_is_cut_does_not_show_a_program_that_ignores_the_signal():
    assert told([cut(30)] * 5) == (60, Learned.CUT)


def test_what_supervise_saw_needs_no_third_cut():
    assert told([cut(30, Lesson.IGNORED)]) == (30, Learned.IGNORED)
    assert told([cut(60, Lesson.IGNORED)], WITH_EVIDENCE) == (30, Learned.IGNORED)


def test_a_launchers_own_clock_is_not_answered_with_more_grace():
    assert told([cut(60, Lesson.SECOND_CLOCK, 30)]) == (60, Learned.LAUNCHER_CLOCK)
    assert told([cut(30, Lesson.SECOND_CLOCK, 30)]) == (60, Learned.CUT)


def test_a_pod_that_brings_the_maximum_is_not_deaf_after_one_cut():
    terms = GraceTerms(own=180, evidence_default=60, maximum=180)
    assert told([cut(180)], terms) == (180, Learned.CUT_TWICE)
    assert told([cut(180), cut(180)], terms) == (180, Learned.IGNORED)


def test_a_stop_after_a_program_that_ignored_the_signal_is_a_stop():
    samples = [cut(30), cut(60), cut(180), in_time(40, 30)]
    assert told(samples) == (75, Learned.STOPPED)


def test_a_cut_after_stops_gets_at_least_what_the_stops_took():
    assert told([in_time(70, 100), cut(30)]) == (120, Learned.CUT)


def test_the_longest_of_the_newest_stops_counts():
    learned = learned_grace([in_time(20), in_time(50), in_time(10)], (), OWN)
    assert learned is not None
    assert (learned.seconds, learned.runs, learned.longest_seconds) == (90, 3, 50)


@pytest.mark.parametrize(
    ("samples", "sentence"),
    [
        ([in_time(20), in_time(50)], "longest of 2 stops in 30 days, 50 s"),
        ([in_time(20)], "longest of 1 stop in 30 days, 20 s"),
        ([cut(30)], "1 run cut in 30 days"),
        ([cut(30), cut(60)], "2 runs cut in 30 days, with the default grace or more"),
        ([cut(60, Lesson.SECOND_CLOCK, 30)], "1 run ended by a launcher's own clock before the grace was over"),
        ([Sample(0, 0, 60, Lesson.NO_HANDLER)] * 2, "2 runs ended at once in 30 days: nobody handles the signal"),
    ],
)
def test_what_a_grace_rests_on_is_told_in_words(samples, sentence):
    learned = learned_grace(samples, (), OWN)
    assert learned is not None
    assert learned.sentence == sentence


def test_one_fast_end_after_a_stop_withdraws_nothing():
    samples = [in_time(20), Sample(0, 0, 60, Lesson.NO_HANDLER), Sample(1, 0, 60, Lesson.NO_HANDLER)]
    assert told(samples, WITH_EVIDENCE) == (60, Learned.STOPPED)
    assert told(samples[1:2], WITH_EVIDENCE) is None


def test_a_workload_that_was_never_seen_teaches_nothing():
    assert learned_grace((), (), OWN) is None


def test_the_exact_name_is_asked_before_the_coarse_one():
    exact, coarse = [in_time(10)] * 3, [cut(60)]
    learned = learned_grace(exact, coarse, WITH_EVIDENCE)
    assert learned is not None
    assert learned.seconds == 30
