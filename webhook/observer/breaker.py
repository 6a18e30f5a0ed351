"""Stops wrapping in a namespace whose pods are refused, or wait for supervise's image; `wrapping_stops` has the rules.

Law: what is stopped stands in the ConfigMap and nowhere else, so that it survives a restart and anybody can take it back.
It is written at most four times a minute, whatever the namespaces do.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from webhook import log
from webhook.api import Api, ApiError
from webhook.cluster.stream import Patience
from webhook.observer.events import resumption_event, stop_event
from webhook.observer.memory_object import MemoryObject
from webhook.observer.observer_metrics import ObserverMetrics
from webhook.observer.refusals import REASONS, RefusalEvent, Refusals, RefusalStream
from webhook.observer.supervise_waits import SuperviseWait, SuperviseWaits
from webhook.policy.observed.wrapping_stops import (
    STOPS_KEY,
    Signs,
    Stops,
    next_stops,
    stops_in,
    text_of_stops,
)

_BETWEEN_WRITES_SECONDS = 15.0
_BETWEEN_READS_SECONDS = 60.0
"""After which somebody may have changed the ConfigMap."""
_CALL_SECONDS = 10.0


@dataclass(slots=True)
class Breaker:
    """Collects signs from the watches of pods and Events; `look` belongs to one thread."""

    api: Api
    memory: MemoryObject
    metrics: ObserverMetrics
    logger: log.Logger
    clock: Callable[[], datetime]
    between_writes_seconds: float = _BETWEEN_WRITES_SECONDS
    refusals: Refusals = field(init=False)
    waits: SuperviseWaits = field(init=False)
    problem: str = field(default="", init=False)
    """Why stops cannot be read or written; empty where they can."""
    streams: Sequence[RefusalStream] = field(default=(), init=False)
    _known: Stops = field(default_factory=dict, init=False)
    """As the ConfigMap had it when it was last read."""
    _read_at: float | None = field(default=None, init=False)
    _tried_at: float = field(default=float("-inf"), init=False)
    _about: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict, init=False)
    """References to the owners of the signs at hand."""

    def __post_init__(self) -> None:
        self.refusals, self.waits = Refusals(self._now), SuperviseWaits(self._now)
        self.metrics.stopped_namespaces(lambda: sum(stop.lasts(self._now()) for stop in self._known.values()))

    def watch_events(self, namespaces: Sequence[str | None], patience: Patience) -> None:
        """Make the watches of Events; None is all namespaces. Their threads are the caller's."""
        places = [(namespace, reason) for namespace in namespaces for reason in REASONS]
        self.streams = [RefusalStream(self.api, place, self.refusals, self.logger, patience) for place in places]

    def notes(self) -> Iterator[str]:
        """Yield what is wrong."""
        failure = next((stream.failure for stream in self.streams if stream.failure), None)
        if failure is not None:
            yield f"Events are not watched, so refused pods do not stop wrapping: {failure}"
        if self.problem:
            yield self.problem

    def look(self) -> None:
        """Read what is stopped where it is due, and write it where signs change it."""
        now, signs = self._now(), self._signs()
        if not self._is_due(signs, now):
            return
        self._tried_at = time.monotonic()
        held: dict[str, Stops] = {}

        def changed(text: str) -> str:
            held["before"] = stops_in(text)
            held["after"] = next_stops(held["before"], signs, now)
            return text if held["after"] == held["before"] else text_of_stops(held["after"], now)

        try:
            self.memory.change(changed, STOPS_KEY)
        except ApiError as error:
            self._tell_problem(f"stops of wrapping cannot be written: {error}")
            return
        self._tell_problem("")
        self._known, self._read_at = held["after"], time.monotonic()
        self.waits.counted()
        self._tell_changes(held["before"], held["after"], now)

    def _now(self) -> int:
        return int(self.clock().timestamp())

    def _signs(self) -> Mapping[str, Signs]:
        refusals, waits = self.refusals.recent(), self.waits.too_long()
        self._about = {}
        for namespace, owner, about in _references(refusals, waits):
            self._about[namespace, owner] = {**about, "namespace": namespace}
        return {
            namespace: Signs(
                {owner: tuple(each.at for each in held) for owner, held in refusals.get(namespace, {}).items()},
                {owner: wait.created for owner, wait in waits.get(namespace, {}).items()},
            )
            for namespace in refusals.keys() | waits.keys()
        }

    def _is_due(self, signs: Mapping[str, Signs], now: int) -> bool:
        monotonic = time.monotonic()
        if monotonic - self._tried_at < self.between_writes_seconds:
            return False
        if self._read_at is None or next_stops(self._known, signs, now) != self._known:
            return True
        return bool(signs or self._known) and monotonic - self._read_at >= _BETWEEN_READS_SECONDS

    def _tell_changes(self, before: Stops, after: Stops, now: int) -> None:
        for namespace, stop in after.items():
            earlier = before.get(namespace)
            about = self._about.get((namespace, stop.about))
            if stop.lasts(now) and (earlier is None or earlier.since != stop.since):
                self.metrics.wrapping_stopped(stop.cause)
                self.logger.warning(
                    "wrapping stopped", namespace=namespace, why=stop.cause, owner=stop.about, seconds=stop.seconds
                )
                self._post(None if about is None else stop_event(stop, about, self.clock()))
            elif earlier is not None and earlier.lasts(now) and not stop.lasts(now):
                self.logger.info("wrapping resumed", namespace=namespace, owner=stop.about)
                self._post(None if about is None else resumption_event(stop, about, self.clock()))

    def _post(self, event: Mapping[str, Any] | None) -> None:
        if event is None:
            return
        namespace = event["metadata"]["namespace"]
        try:
            self.api.post(f"/api/v1/namespaces/{namespace}/events", dict(event), timeout_seconds=_CALL_SECONDS)
        except ApiError as error:
            self.logger.warning("Event not written", namespace=namespace, why=str(error))

    def _tell_problem(self, problem: str) -> None:
        if problem and problem != self.problem:
            self.logger.warning("stops not written", why=problem)
        elif self.problem and not problem:
            self.logger.info("stops written again")
        self.problem = problem


def _references(
    refusals: Mapping[str, Mapping[str, tuple[RefusalEvent, ...]]], waits: Mapping[str, Mapping[str, SuperviseWait]]
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield namespace, owner and the reference to it."""
    for namespace, owners in refusals.items():
        yield from ((namespace, owner, held[-1].about) for owner, held in owners.items())
    for namespace, waiting in waits.items():
        yield from ((namespace, owner, wait.about) for owner, wait in waiting.items())
