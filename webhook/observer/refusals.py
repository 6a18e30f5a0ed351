"""Pods that the API server refused, as the Events of their controllers tell.

A refused pod is never seen, so it is not known whether it was wrapped. What somebody writes into the Events of a namespace
counts for that namespace alone.
"""

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from webhook import log
from webhook.api import Api
from webhook.cluster.stream import Kind, Patience, Stream
from webhook.policy.names import NO_NAME, is_name, shown
from webhook.policy.observed.wrapping_stops import LONGEST_OWNER, WAIT_SECONDS
from webhook.policy.pod.metadata import JsonObject, metadata_of
from webhook.policy.pod.timestamp import seconds_of
from webhook.policy.workload.run_ids import coarse_text, own_names

REASONS = ("FailedCreate", "FailedCreatePod")
"""Of Jobs, ReplicaSets, StatefulSets and DaemonSets (kubernetes pkg/controller/controller_utils.go); of Kubeflow's training
operator (training-operator pkg/core/pod.go). JobSet, Kueue and Deployments make Jobs and ReplicaSets."""
_REFUSAL = re.compile(r"\b(?:denied|forbidden|violates|is invalid)\b", re.IGNORECASE)
_OTHER_REFUSAL = re.compile(
    r"exceeded quota|already exists|being terminated|service account|no PriorityClass|RuntimeClass", re.IGNORECASE
)
"""What cannot come from a container that was added to the pod."""
_LONGEST_MESSAGE = 4096
_TIMES = ("lastTimestamp", "eventTime", "firstTimestamp")
_REFERENCE = ("apiVersion", "kind", "name", "uid")
_MOST_NAMESPACES, _MOST_OWNERS, _MOST_TIMES = 500, 16, 4


@dataclass(frozen=True, slots=True)
class RefusalEvent:
    """One time at which pods of an owner were refused."""

    namespace: str
    owner: str
    """Its kind and its name without what differs from run to run, e.g. `Job/train-<id>`."""
    at: int
    about: Mapping[str, Any]
    """The reference to the owner."""


def owner_of(reference: JsonObject) -> str | None:
    """Return an owner as signs name it; None for a reference without kind and name."""
    kind, name = shown(reference.get("kind")), reference.get("name")
    if kind == NO_NAME or not is_name(name):
        return None
    return f"{kind}/{coarse_text(name, own_names(()))}"[:LONGEST_OWNER]


def read_refusal(event: JsonObject) -> RefusalEvent | None:
    """Return what an Event tells of refused pods; None where it tells of none."""
    message, reference = event.get("message"), event.get("involvedObject") or {}
    text = message[:_LONGEST_MESSAGE] if isinstance(message, str) else ""
    if event.get("reason") not in REASONS or not _REFUSAL.search(text) or _OTHER_REFUSAL.search(text):
        return None
    times = [seconds_of(event.get(name)) for name in _TIMES]
    times.append(seconds_of((event.get("series") or {}).get("lastObservedTime")))
    at = max((time for time in times if time is not None), default=None)
    namespace, owner = metadata_of(event).get("namespace"), owner_of(reference)
    if at is None or owner is None or not is_name(namespace):
        return None
    return RefusalEvent(namespace, owner, at, {name: reference[name] for name in _REFERENCE if reference.get(name)})


@dataclass(slots=True)
class Refusals:
    """The refusals of the last two minutes, in bounded room: of a namespace the newest owners, of these the newest times."""

    now: Callable[[], int]
    _by_owner: dict[str, dict[str, list[RefusalEvent]]] = field(default_factory=dict, init=False)
    """By namespace and owner; the newest last."""
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def add(self, refusal: RefusalEvent) -> None:
        """Take one, unless it is old, or from a clock that is minutes ahead. The same one counts once."""
        if abs(self.now() - refusal.at) > WAIT_SECONDS:
            return
        with self._lock:
            owners = self._by_owner.pop(refusal.namespace, {})
            held = [each for each in owners.pop(refusal.owner, []) if each.at != refusal.at]
            owners[refusal.owner] = sorted([*held, refusal], key=lambda each: each.at)[-_MOST_TIMES:]
            self._by_owner[refusal.namespace] = owners
            for newest_last, most in ((owners, _MOST_OWNERS), (self._by_owner, _MOST_NAMESPACES)):
                if len(newest_last) > most:
                    del newest_last[next(iter(newest_last))]

    def recent(self) -> Mapping[str, Mapping[str, tuple[RefusalEvent, ...]]]:
        """Return those of the last two minutes, by namespace and owner, and forget the others."""
        oldest = self.now() - WAIT_SECONDS
        with self._lock:
            for namespace, owners in list(self._by_owner.items()):
                kept = {owner: [each for each in held if each.at >= oldest] for owner, held in owners.items()}
                self._by_owner[namespace] = {owner: held for owner, held in kept.items() if held}
                if not self._by_owner[namespace]:
                    del self._by_owner[namespace]
            return {
                namespace: {owner: tuple(held) for owner, held in owners.items()}
                for namespace, owners in self._by_owner.items()
            }


class RefusalStream(Stream):
    """The new Events of one reason, of one namespace or of all. None is kept."""

    def __init__(
        self, api: Api, place: tuple[str | None, str], refusals: Refusals, logger: log.Logger, patience: Patience
    ) -> None:
        """Follow the Events of this namespace (None: of all) with this reason."""
        namespace, reason = place
        path = "/api/v1/events" if namespace is None else f"/api/v1/namespaces/{namespace}/events"
        kind = Kind("Event", (path,), read_refusal, {"fieldSelector": f"reason={reason}"}, changes_alone=True)
        super().__init__(api, kind, logger, patience)
        self.refusals = refusals

    def take_list(self, objects: Mapping[str, Any]) -> None:
        """Take nothing: an Event from before the watch may be an hour old, and whoever is refused tries again."""

    def take_change(self, key: str, shortened: Any) -> None:  # noqa: ARG002  # an Event is known by its owner and time
        """Take one; a controller counts up an Event that it repeats."""
        if shortened is not None:
            self.refusals.add(shortened)

    def take_removal(self, key: str, shortened: Any) -> None:
        """Take nothing: an Event that expires says nothing new."""
