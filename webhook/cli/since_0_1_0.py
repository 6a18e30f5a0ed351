"""What this version changes for the pods of a workload, against version 0.1.0 with the same configuration."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from webhook.policy.decision import Decision

VERSION = "0.1.0"


@dataclass(frozen=True, slots=True)
class DecisionChange:
    """Both decisions on one pod."""

    former: Decision
    current: Decision


def grace_after(decision: Decision) -> int:
    """Return the grace that a pod has after a decision, in seconds."""
    return decision.grace_before_seconds if decision.grace_seconds is None else decision.grace_seconds


def range_of(seconds: Iterable[int]) -> str:
    """Return seconds of several pods in words: `30`, or `30 to 600`."""
    ordered = sorted(seconds)
    return str(ordered[0]) if ordered[0] == ordered[-1] else f"{ordered[0]} to {ordered[-1]}"


def changes_of(pairs: Sequence[DecisionChange]) -> list[str]:
    """Return what differs, as slugs: `grace`, `start`, `labels`; empty where all is the same."""
    return list(dict.fromkeys(change for pair in pairs for change in _changes(pair)))


def in_words(pairs: Sequence[DecisionChange]) -> str:
    """Return one cell of a table: `same`, or what changed, with the old and the new grace."""
    changes = changes_of(pairs)
    if not changes:
        return "same"
    if "grace" in changes:
        former, current = (
            range_of(map(grace_after, decisions))
            for decisions in zip(*((p.former, p.current) for p in pairs), strict=True)
        )
        changes[changes.index("grace")] = f"grace {former} s -> {current} s"
    return "changed: " + ", ".join(changes)


def _changes(pair: DecisionChange) -> Iterator[str]:
    if grace_after(pair.former) != grace_after(pair.current):
        yield "grace"
    if pair.former.changes != pair.current.changes:
        yield "start"
    if pair.former.labels != pair.current.labels:
        yield "labels"
