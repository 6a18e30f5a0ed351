"""Ends that wait for the pods that ran beside them: what a pod's end teaches counts when its gang is over.

Law: while a pod lives, nothing that a peer's end teaches is written. A peer that is created anew then gets the same answer.
"""

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile

from webhook.observer.pods import ObservedPod
from webhook.policy.observed.termination import Termination

_MOST_WAITING = 10_000
"""Ends of all gangs. Beyond it the one that has waited longest waits no more."""


@dataclass(frozen=True, slots=True)
class ObservedEnd:
    """How one pod ended."""

    pod: ObservedPod
    termination: Termination


Gang = tuple[str, str]
"""A namespace, and a JobSet or owner in it: a label that anybody can write may name it, so never without the namespace."""


def gang_of(pod: ObservedPod) -> Gang | None:
    """Return the pods beside which a pod runs; None for one that nobody owns."""
    name = pod.history.status.gang
    return (pod.workload.namespace, name) if name else None


@dataclass(slots=True)
class Gangs:
    """The pods of each JobSet or owner that live, and the ends of those that do not. It belongs to one thread."""

    _living: dict[Gang, dict[str, int]] = field(default_factory=dict, init=False)
    """When each pod was created, by gang and namespace/name."""
    _waiting: dict[Gang, list[ObservedEnd]] = field(default_factory=dict, init=False)
    """Ends by gang, the earliest deletion first."""
    _waiting_total: int = field(default=0, init=False)

    def lives(self, key: str, pod: ObservedPod) -> None:
        """Note a pod that has not ended."""
        gang = gang_of(pod)
        if gang is not None:
            self._living.setdefault(gang, {})[key] = pod.history.status.created or 0

    def ended(self, key: str, pod: ObservedPod, end: ObservedEnd | None = None) -> Iterator[ObservedEnd]:
        """Yield the ends that nobody has to wait for any more, now that this pod has ended or is gone."""
        gang = gang_of(pod)
        if gang is None:
            yield from [] if end is None else [end]
            return
        living = self._living.get(gang, {})
        living.pop(key, None)
        if not living:
            self._living.pop(gang, None)
        if end is not None:
            self._wait(gang, end)
        yield from self._over(gang, living)
        if self._waiting_total > _MOST_WAITING:
            yield self._longest_waiting()

    def all(self) -> list[ObservedEnd]:
        """Return every end that waits. None waits afterwards."""
        ends = [end for waiting in self._waiting.values() for end in waiting]
        self._waiting, self._waiting_total = {}, 0
        return ends

    def _wait(self, gang: Gang, end: ObservedEnd) -> None:
        insort(self._waiting.setdefault(gang, []), end, key=_began)
        self._waiting_total += 1

    def _over(self, gang: Gang, living: dict[str, int]) -> list[ObservedEnd]:
        """Return the ends beside which no pod of the gang ran that still lives."""
        waiting = self._waiting.get(gang, [])
        if not waiting or any(created < _began(waiting[0]) for created in living.values()):
            return []
        first = min(living.values(), default=None)
        over = [*waiting] if first is None else [*takewhile(lambda end: _began(end) <= first, waiting)]
        self._waiting_total -= len(over)
        del waiting[: len(over)]
        if not waiting:
            del self._waiting[gang]
        return over

    def _longest_waiting(self) -> ObservedEnd:
        gang = next(iter(self._waiting))
        waiting = self._waiting[gang]
        end = waiting.pop(0)
        self._waiting_total -= 1
        if not waiting:
            del self._waiting[gang]
        return end


def _began(end: ObservedEnd) -> int:
    return end.termination.began
