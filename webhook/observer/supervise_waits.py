"""Wrapped pods that wait for supervise's image, or whose init container fails, and since when."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from webhook.observer.events import reference_of
from webhook.observer.pods import ObservedPod
from webhook.observer.refusals import owner_of
from webhook.policy.observed.wrapping_stops import LONGEST_OWNER, WAIT_SECONDS


@dataclass(frozen=True, slots=True)
class SuperviseWait:
    """One pod that waits."""

    namespace: str
    owner: str
    """Of its controller, or of the pod where nothing controls it: `Job/train-<id>`."""
    about: Mapping[str, Any]
    """The reference to that owner."""
    created: int
    since: int
    """When it was first seen to wait, by this process's clock."""
    counts: bool = True
    """False where a pod of its namespace has started since, or where it has counted."""


@dataclass(slots=True)
class SuperviseWaits:
    """The pods that wait now."""

    now: Callable[[], int]
    _waits: dict[str, SuperviseWait] = field(default_factory=dict, init=False)
    """By namespace/name."""
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def seen(self, key: str, pod: ObservedPod | None) -> None:
        """Take an object of a pod that exists."""
        if pod is None or pod.install is None:
            return
        with self._lock:
            if pod.install.is_stuck and pod.history.status.deletion is None:
                self._waits.setdefault(key, self._wait_of(pod))
            else:
                self._waits.pop(key, None)
            if pod.install.done is not None:
                self._excuse(pod.workload.namespace, pod.install.done)

    def gone(self, key: str) -> None:
        """Take the end of a pod."""
        with self._lock:
            self._waits.pop(key, None)

    def listed(self, prefix: str, pods: Mapping[str, ObservedPod | None]) -> None:
        """Take the whole collection of the namespaces whose keys begin with a prefix."""
        with self._lock:
            for key in [key for key in self._waits if key.startswith(prefix) and key not in pods]:
                del self._waits[key]
        for key, pod in pods.items():
            self.seen(key, pod)

    def too_long(self) -> Mapping[str, Mapping[str, SuperviseWait]]:
        """Return the newest pod that has waited for two minutes, by namespace and owner."""
        latest = self.now() - WAIT_SECONDS
        newest: dict[str, dict[str, SuperviseWait]] = {}
        with self._lock:
            waits = sorted(self._waits.values(), key=lambda each: each.created)
        for wait in waits:
            if wait.counts and wait.since <= latest:
                newest.setdefault(wait.namespace, {})[wait.owner] = wait
        return newest

    def counted(self) -> None:
        """Let those that have waited for two minutes count no more: a pod that stays as it is says nothing new."""
        latest = self.now() - WAIT_SECONDS
        with self._lock:
            for key, wait in self._waits.items():
                if wait.since <= latest:
                    self._waits[key] = replace(wait, counts=False)

    def _wait_of(self, pod: ObservedPod) -> SuperviseWait:
        about = reference_of(pod)
        owner = owner_of(about) or f"Pod/{pod.name}"[:LONGEST_OWNER]
        now = self.now()
        return SuperviseWait(pod.workload.namespace, owner, about, pod.history.status.created or now, now)

    def _excuse(self, namespace: str, done: int) -> None:
        for key, wait in self._waits.items():
            if wait.namespace == namespace and wait.counts and wait.since <= done:
                self._waits[key] = replace(wait, counts=False)
