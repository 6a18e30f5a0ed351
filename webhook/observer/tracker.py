"""Follows pods from their first object to their end, and tells each end once.

Law: what was not seen is not guessed. A pod that is gone from a list, with no event of its end, teaches nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from webhook.observer.gangs import Gang, Gangs, ObservedEnd, gang_of
from webhook.observer.pods import ObservedPod, after
from webhook.policy.observed.history import PodHistory
from webhook.policy.observed.memory import lesson_of
from webhook.policy.observed.termination import termination_of

_MOST_GANGS, _MOST_FAILED = 500, 100
"""Gangs of which a pod has failed, and the pods of one that are remembered."""


@dataclass(slots=True)
class Tracker:
    """The pods of one stream. It belongs to one thread."""

    minimum_run_seconds: int
    tell: Callable[[ObservedEnd], object]
    """Takes each end at once."""
    teach: Callable[[ObservedEnd], object]
    """Takes an end that teaches, when its gang is over."""
    _gangs: Gangs = field(default_factory=Gangs, init=False)
    _pods: dict[str, ObservedPod] = field(default_factory=dict, init=False)
    """Pods that exist, by namespace/name."""
    _failed: dict[Gang, dict[str, PodHistory]] = field(default_factory=dict, init=False)
    """Pods that failed, by gang and uid, also those that are gone: one explains why its peers could not save. A gang may be
    large, so the others are not kept here."""
    _told: set[str] = field(default_factory=set, init=False)
    """Keys of pods that exist and whose end was told."""

    @property
    def count(self) -> int:
        """Return how many pods are followed."""
        return len(self._pods)

    def teach_all(self) -> None:
        """Teach what waits for peers, as the observer ends."""
        for end in self._gangs.all():
            self.teach(end)

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
        gang = gang_of(pod)
        if gang is not None and pod.history.failed is not None:
            self._note_failure(gang, pod.history)
        if not pod.history.is_gone and not pod.history.status.is_terminal:
            self._gangs.lives(key, pod)
        if key in self._told:
            return
        peers = () if gang is None else tuple(self._failed.get(gang, {}).values())
        termination = termination_of(pod.history, peers, minimum_run_seconds=self.minimum_run_seconds)
        if termination is not None:
            self._told.add(key)
            end = ObservedEnd(pod, termination)
            self.tell(end)
            self._leave(key, pod, None if lesson_of(termination) is None else end)
        elif pod.history.status.is_terminal:
            self._leave(key, pod)

    def _drop(self, key: str) -> None:
        self._leave(key, self._pods.pop(key))
        self._told.discard(key)

    def _leave(self, key: str, pod: ObservedPod, end: ObservedEnd | None = None) -> None:
        for over in self._gangs.ended(key, pod, end):
            self.teach(over)

    def _note_failure(self, gang: Gang, history: PodHistory) -> None:
        peers = self._failed.pop(gang, {})
        peers[history.status.uid] = history
        if len(peers) > _MOST_FAILED:
            del peers[next(iter(peers))]
        self._failed[gang] = peers  # the newest last
        if len(self._failed) > _MOST_GANGS:
            del self._failed[next(iter(self._failed))]
