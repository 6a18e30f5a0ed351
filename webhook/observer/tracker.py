"""Follows pods from their first object to their end, and tells each end once.

Law: what was not seen is not guessed. A pod that is gone from a list, with no event of its end, teaches nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from webhook.observer.pods import ObservedPod, after
from webhook.policy.observed.history import PodHistory
from webhook.policy.observed.termination import Termination, termination_of

_MOST_GANGS, _MOST_FAILED = 500, 100
"""Gangs of which a pod has failed, and the pods of one that are remembered."""


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
    _failed: dict[tuple[str, str], dict[str, PodHistory]] = field(default_factory=dict, init=False)
    """Pods that failed, by namespace and gang, then by uid, also those that are gone: one explains why its peers could not
    save. A gang may be large, so the others are not kept here."""
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
        gang = (pod.workload.namespace, pod.history.status.gang)  # anybody can write another namespace's gang on a pod
        if pod.history.status.gang and pod.history.failed is not None:
            self._note_failure(gang, pod.history)
        if key in self._told:
            return
        peers = tuple(self._failed.get(gang, {}).values())
        termination = termination_of(pod.history, peers, minimum_run_seconds=self.minimum_run_seconds)
        if termination is not None:
            self._told.add(key)
            self.tell(ObservedEnd(pod, termination))

    def _drop(self, key: str) -> None:
        del self._pods[key]
        self._told.discard(key)

    def _note_failure(self, gang: tuple[str, str], history: PodHistory) -> None:
        peers = self._failed.pop(gang, {})
        peers[history.status.uid] = history
        if len(peers) > _MOST_FAILED:
            del peers[next(iter(peers))]
        self._failed[gang] = peers  # the newest last
        if len(self._failed) > _MOST_GANGS:
            del self._failed[next(iter(self._failed))]
