"""How an OSMO task's grace is split between its trainer and the uploads that follow."""

from dataclasses import dataclass
from math import ceil, floor

from webhook.policy.shutdown.grace import Need, Term


@dataclass(frozen=True, slots=True)
class Split:
    """An OSMO task's grace in seconds."""

    grace_seconds: int
    """What the pod really has."""
    limit_seconds: int
    """What its trainer may use of it."""
    term: Term


def split_of(grace_seconds: int, need: Need) -> Split:
    """Return how long an OSMO task's trainer may take of the grace, counted from the deletion, its preStop included.

    The rest is kept for what follows: output uploads x safety and the log backlog, or half of the grace where the size is
    unknown. The trainer always has half. `grace_seconds` is what the pod really has.
    """
    reserve = grace_seconds / 2 if need.after_trainer_seconds is None else need.after_trainer_seconds
    half = ceil(grace_seconds / 2)
    limit = max(floor(grace_seconds - reserve), half)
    source = "half of the grace" if limit == half else "grace - output uploads x safety - log backlog"
    return Split(grace_seconds, limit, Term("trainer-limit", f"{limit} s", source))
