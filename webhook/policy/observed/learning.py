"""The grace that a workload's earlier runs teach.

The rules, in this order:
1. Cut by a launcher's own clock before the grace was over: more grace does not help, the clock has to follow it.
2. Cut with the maximum after an earlier cut, or once where supervise saw that nobody catches the signal: it is ignored, and
   nothing is raised.
3. Cut with the default grace: the maximum, once.
4. Cut with less: the default grace.
5. Stopped in time: the longest of the newest five stops x 1.5 + 15 s. What a cut has raised stays until three stops in a row.
6. Ended at once twice, and never in time: nobody handles the signal, and a default grace is withdrawn.

Law: the coarse name of a workload only raises. By the exact name a grace goes down too, but not what somebody stated, and
never below what the pod brings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile
from math import ceil

from webhook.policy.observed.memory import Lesson, Sample

_FACTOR, _MARGIN_SECONDS = 1.5, 15
_TOLERANCE_SECONDS = 2
_CUTS_THAT_SHOW_A_DEAF_PROGRAM = 2
_STOPS_BEFORE_IT_GOES_DOWN = 3
_FAST_ENDS_THAT_WITHDRAW = 2


class Learned(StrEnum):
    """Why a grace is what it is, after earlier runs."""

    CUT = "cut"
    CUT_TWICE = "cut-twice"
    IGNORED = "ignored"
    LAUNCHER_CLOCK = "launcher-clock"
    STOPPED = "stopped"
    NO_HANDLER = "no-handler"


@dataclass(frozen=True, slots=True)
class GraceTerms:
    """What a pod would get without memory, and its bounds, in seconds."""

    own: int
    """What the pod brings."""
    stated: int | None = None
    """What a Namespace or a profile makes of it; None where nobody states anything."""
    default: int | None = None
    """What it would get of unknown size, by a sign that it saves or by an estimate; None where it would be left alone."""
    evidence_default: int = 600
    maximum: int = 3600

    @property
    def without_memory(self) -> int:
        """Return the grace that the pod would have."""
        unbounded = self.stated if self.stated is not None else self.default
        return self.bounded(self.own if unbounded is None else unbounded)

    def bounded(self, seconds: int) -> int:
        """Return seconds within the maximum, and never below what the pod brings."""
        return max(self.own, min(seconds, self.maximum))


@dataclass(frozen=True, slots=True)
class LearnedGrace:
    """The grace of the next run. Example: 83 s, because the longest of two stops took 45 s."""

    seconds: int
    why: Learned
    runs: int
    """The runs that it rests on."""
    longest_seconds: int = 0
    """The longest stop in time among them; 0 where there was none."""

    @property
    def sentence(self) -> str:
        """Return what the grace rests on, in words for the decision."""
        count = f"{self.runs} {'run' if self.runs == 1 else 'runs'}"
        return {
            Learned.STOPPED: f"longest of {self.runs} {'stop' if self.runs == 1 else 'stops'} in 30 days, "
            f"{self.longest_seconds} s",
            Learned.CUT: f"{count} cut in 30 days",
            Learned.CUT_TWICE: f"{count} cut in 30 days, with the default grace or more",
            Learned.IGNORED: f"{count} cut in 30 days: the signal is ignored",
            Learned.LAUNCHER_CLOCK: f"{count} ended by a launcher's own clock before the grace was over",
            Learned.NO_HANDLER: f"{count} ended at once in 30 days: nobody handles the signal",
        }[self.why]


def learned_grace(exact: Sequence[Sample], coarse: Sequence[Sample], terms: GraceTerms) -> LearnedGrace | None:
    """Return the grace that earlier runs teach, by the exact name of the workload, else by the coarse one.

    None where they teach nothing: the pod gets what it would get without memory. Samples come with the oldest first.
    """
    samples, is_exact = (exact, True) if exact else (coarse, False)
    if not samples:
        return None
    cuts = len(list(takewhile(lambda sample: sample.lesson.is_cut, reversed(samples))))
    if cuts:
        return _after_cuts(samples, cuts, terms, is_exact=is_exact)
    if any(sample.lesson.is_in_time for sample in samples):
        return _after_stops(samples, terms, is_exact=is_exact)
    return _after_fast_ends(samples, terms, is_exact=is_exact)


def _after_cuts(samples: Sequence[Sample], cuts: int, terms: GraceTerms, *, is_exact: bool) -> LearnedGrace:
    """Return the grace after cuts, by the longest grace that was cut.

    The number of cuts alone shows nothing: in audit mode every run is cut with the same grace.
    """
    newest, longest = samples[-1], _longest(samples)
    if newest.lesson is Lesson.SECOND_CLOCK and newest.seconds + _TOLERANCE_SECONDS < newest.granted_seconds:
        held = max(newest.granted_seconds, terms.without_memory)
        return LearnedGrace(terms.bounded(held), Learned.LAUNCHER_CLOCK, cuts, longest)
    most_granted = max(sample.granted_seconds for sample in samples[-cuts:])
    at_maximum = most_granted >= terms.bounded(terms.maximum)
    if newest.lesson is Lesson.IGNORED or (at_maximum and cuts >= _CUTS_THAT_SHOW_A_DEAF_PROGRAM):
        return LearnedGrace(_fallen_back(terms, is_exact=is_exact), Learned.IGNORED, cuts, longest)
    is_second = most_granted >= terms.bounded(terms.evidence_default)
    wanted = max(terms.maximum if is_second else terms.evidence_default, _target(samples), terms.without_memory)
    return LearnedGrace(terms.bounded(wanted), Learned.CUT_TWICE if is_second else Learned.CUT, cuts, longest)


def _after_stops(samples: Sequence[Sample], terms: GraceTerms, *, is_exact: bool) -> LearnedGrace:
    """Return the grace after a run that was not cut, of a workload that has stopped in time."""
    stops = [sample for sample in samples if sample.lesson.is_in_time]
    in_a_row = len(list(takewhile(lambda sample: sample.lesson.is_in_time, reversed(samples))))
    target, longest = _target(samples), _longest(samples)
    may_go_down = is_exact and in_a_row >= _STOPS_BEFORE_IT_GOES_DOWN
    if may_go_down and terms.stated is None:
        return LearnedGrace(terms.bounded(target), Learned.STOPPED, len(stops), longest)
    was_cut = any(sample.lesson.is_cut for sample in samples)
    raised = samples[-1].granted_seconds if was_cut and not may_go_down else 0
    return LearnedGrace(terms.bounded(max(target, raised, terms.without_memory)), Learned.STOPPED, len(stops), longest)


def _after_fast_ends(samples: Sequence[Sample], terms: GraceTerms, *, is_exact: bool) -> LearnedGrace | None:
    fast_ends = sum(sample.lesson is Lesson.NO_HANDLER for sample in samples)
    if fast_ends < _FAST_ENDS_THAT_WITHDRAW:
        return None
    return LearnedGrace(_fallen_back(terms, is_exact=is_exact), Learned.NO_HANDLER, fast_ends)


def _fallen_back(terms: GraceTerms, *, is_exact: bool) -> int:
    """Return the grace where more of it only holds accelerators. A default that nobody stated is withdrawn by the exact name."""
    return terms.bounded(terms.own) if is_exact and terms.stated is None else terms.without_memory


def _longest(samples: Sequence[Sample]) -> int:
    return max((sample.seconds for sample in samples if sample.lesson.is_in_time), default=0)


def _target(samples: Sequence[Sample]) -> int:
    """Return the seconds for the longest stop; 0 where there was none."""
    longest = _longest(samples)
    return ceil(longest * _FACTOR + _MARGIN_SECONDS) if longest else 0
