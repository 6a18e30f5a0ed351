"""What earlier runs of a workload teach about its grace: the need of the next run, and what its owner should know.

Law: a pod's own words about its size or its grace win, and what a Namespace or a profile states is never undercut.
"""

from dataclasses import dataclass, replace

from webhook.policy.configuration import Defaults
from webhook.policy.facts import Facts
from webhook.policy.observed.learning import GraceTerms, Learned, LearnedGrace, learned_grace
from webhook.policy.observed.memory import Lesson, Sample
from webhook.policy.pod import Pod
from webhook.policy.shutdown.grace import Need, Term
from webhook.policy.statements import keys
from webhook.policy.statements.statements import Statements

TERM = "observed"
_KEYS_OF_SIZE = (keys.GRACE_SECONDS, keys.CHECKPOINT_SIZE, keys.MODEL_PARAMETERS)
_KEYS_OF_UPLOADS = (keys.UPLOAD_SIZE, keys.UPLOAD_CONTAINER)
_NOTES = {
    Learned.IGNORED: "earlier runs did not end within their grace, so a longer one helps nobody: the program ignores SIGTERM, "
    "or needs longer than the maximum (docs/learning.md)",
    Learned.LAUNCHER_CLOCK: "the launcher ended earlier runs by a clock of its own, which a longer grace does not change: "
    'set forward-sigterm: "true" (docs/signals.md)',
    Learned.NO_HANDLER: "earlier runs ended at once on SIGTERM: the program has no handler that saves (docs/signals.md)",
}


@dataclass(frozen=True, slots=True)
class LearnedNeed:
    """The need that earlier runs teach, and a note for the pod's owner."""

    need: Need
    notes: tuple[str, ...] = ()


def may_learn(pod: Pod, statements: Statements) -> bool:
    """Return whether earlier runs count for this pod: it says nothing itself about its size or its grace.

    Where something uploads, the trainer's end is not the pod's: such a pod is not measured, and an OSMO task neither.
    """
    uploads = pod.osmo_task is not None or any(statements.get(key) is not None for key in _KEYS_OF_UPLOADS)
    return not uploads and all(statements.of_pod(key) is None for key in _KEYS_OF_SIZE)


def bounds_of(
    pod: Pod, statements: Statements, need: Need | None, defaults: Defaults, maximum_seconds: int
) -> GraceTerms:
    """Return what the pod would get without memory; `need` is None where nothing tells it."""
    is_stated = any(statements.get(key) is not None for key in _KEYS_OF_SIZE)
    seconds = None if need is None else need.seconds
    return GraceTerms(
        own=pod.grace_seconds,
        stated=seconds if is_stated else None,
        default=None if is_stated else seconds,
        evidence_default=defaults.unknown_size_grace_seconds,
        maximum=maximum_seconds,
    )


def learned_need(facts: Facts, need: Need | None, terms: GraceTerms, *, is_cured: bool) -> LearnedNeed | None:
    """Return the need that earlier runs teach; None where they teach nothing.

    `is_cured`: gracekeeper starts the pod through supervise, as its start loses the signal. Then the newest cut does not
    count: it may be of a run before that.
    """
    exact, coarse = facts.exact_runs, facts.coarse_runs
    if is_cured:
        exact, coarse = _without_a_cured_cut(exact), _without_a_cured_cut(coarse)
    grace = learned_grace(exact, coarse, terms)
    if grace is None:
        return None
    return LearnedNeed(_need_of(grace, need, terms), tuple(filter(None, (_NOTES.get(grace.why),))))


def _without_a_cured_cut(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
    """Return the runs without the last one if that was cut."""
    return samples[:-1] if samples and samples[-1].lesson in {Lesson.CUT, Lesson.SECOND_CLOCK} else samples


def _need_of(learned: LearnedGrace, need: Need | None, terms: GraceTerms) -> Need:
    term = Term(TERM, f"{learned.seconds} s", learned.sentence)
    if need is None:
        return Need(learned.seconds, (term,))
    if terms.stated is not None and learned.seconds <= terms.without_memory:
        return need
    return replace(need, seconds=learned.seconds, terms=(*need.terms, term))
