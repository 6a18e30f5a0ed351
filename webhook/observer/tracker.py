"""Follows pods from their first object to their end, and tells each end once.

Law: what was not seen is not guessed. A pod that is gone from a list, with no event of its end, teaches nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from webhook.observer.pods import ObservedPod, after
from webhook.policy.observed.history import PodHistory
from webhook.policy.observed.termination import Termination, termination_of

_MOST_FAILED = 1000
"""Pods that are gone and had failed: one explains why the others of its gang could not save."""


@dataclass(frozen=True, slots=True)
class ObservedEnd:
    """How one pod ended."""

    pod: ObservedPod
    termination: Termination


@dataclass(slots=True)
class Tracker:
    """The pods of one stream. It belongs to one thread."""

    minimum_run_seconds: int
    tell: Callable[[ObservedEnd], object]
    _pods: dict[str, ObservedPod] = field(default_factory=dict, init=False)
    """Pods that exist, by namespace/name."""
    _gangs: dict[str, set[str]] = field(default_factory=dict, init=False)
    """The keys of the pods of each gang."""
    _failed: dict[str, PodHistory] = field(default_factory=dict, init=False)
    """Pods that are gone and had failed, by uid, the oldest first."""
    _told: set[str] = field(default_factory=set, init=False)
    """Keys of pods that exist and whose end was told."""

    @property
    def count(self) -> int:
        """Return how many pods are followed."""
        return len(self._pods)

    def listed(self, pods: Mapping[str, ObservedPod | None]) -> None:
        """Take the whole collection. Pods that are missing in it ended unseen."""
        for key in self._pods.keys() - {key for key, seen in pods.items() if seen is not None}:
            self._drop(key)
        for key, seen in pods.items():
            self.changed(key, seen)

    def changed(self, key: str, seen: ObservedPod | None) -> None:
        """Take an object that is new or has changed."""
        if seen is None:
            return
        if key in self._pods and self._pods[key].uid != seen.uid:
            self._drop(key)  # another pod of this name, whose predecessor ended unseen
        self._take(key, after(self._pods.get(key), seen))

    def removed(self, key: str, seen: ObservedPod | None) -> None:
        """Take the last object of a pod."""
        if seen is None:
            return
        self._take(key, after(self._pods.get(key), seen, is_gone=True))
        self._drop(key)

    def _take(self, key: str, pod: ObservedPod) -> None:
        self._pods[key] = pod
        gang = pod.history.status.gang
        if gang:
            self._gangs.setdefault(gang, set()).add(key)
        if key in self._told:
            return
        termination = termination_of(
            pod.history, self._peers(key, pod.history), minimum_run_seconds=self.minimum_run_seconds
        )
        if termination is not None:
            self._told.add(key)
            self.tell(ObservedEnd(pod, termination))

    def _drop(self, key: str) -> None:
        history = self._pods.pop(key).history
        self._told.discard(key)
        keys = self._gangs.get(history.status.gang, set())
        keys.discard(key)
        if not keys:
            self._gangs.pop(history.status.gang, None)
        if history.failed is not None:
            self._failed[history.status.uid] = history
            if len(self._failed) > _MOST_FAILED:
                del self._failed[next(iter(self._failed))]

    def _peers(self, key: str, history: PodHistory) -> Iterable[PodHistory]:
        """Return the other pods of its gang; not looked for before it is told to stop."""
        gang = history.status.gang
        if not gang or history.deletion is None:
            return ()
        living = (self._pods[other].history for other in self._gangs[gang] if other != key)
        return (*living, *(failed for failed in self._failed.values() if failed.status.gang == gang))
