"""What the observer has learned, as the servers read it: one ConfigMap, watched by its name.

Law: a memory that cannot be read teaches nothing and stops nothing, and no pod waits for it. Pods of one owner that are created
one after the other read the same memory, although another run ends meanwhile.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from webhook.api import Api
from webhook.cluster.stream import Kind, Patience
from webhook.cluster.watched import Watched
from webhook.log import Logger
from webhook.policy.facts import Lookups
from webhook.policy.observed.memory import DATA_KEY, Memory, Sample, memory_in
from webhook.policy.observed.wrapping_stops import STOPS_KEY, Stops, WrappingStop, stops_in
from webhook.policy.pod.metadata import JsonObject

_MOST_GANGS = 4096
"""Of which the answer is kept: a gang's name is anybody's word."""

Runs = tuple[tuple[Sample, ...], tuple[Sample, ...]]
"""The runs of the exact and of the coarse name of a workload, the oldest first."""


class EarlierRuns:
    """The runs of workloads that were seen to end, and the namespaces in which wrapping is stopped.

    Its methods are for the event loop.
    """

    def __init__(self, api: Api, namespace: str, name: str, logger: Logger, patience: Patience) -> None:
        """Read them from this ConfigMap."""
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        kind = Kind("ConfigMap", (path,), _read, {"fieldSelector": f"metadata.name={name}"})
        self.watched = Watched(api, kind, logger, patience)
        self._key = f"{namespace}/{name}"
        self.clock: Callable[[], float] = time.time
        """The clock by which a stop ends."""
        self._answers = GangAnswers()

    def now(self) -> Memory:
        """Return what is known at this moment. It never waits."""
        memory: Memory = self._held().get(DATA_KEY) or Memory()
        return memory

    def stop_in(self, namespace: str) -> WrappingStop | None:
        """Return why wrapping is stopped in a namespace at this moment. A stop ends by itself, also if nobody observes."""
        stops: Stops = self._held().get(STOPS_KEY) or {}
        stop = stops.get(namespace)
        return stop if stop is not None and stop.lasts(int(self.clock())) else None

    def _held(self) -> JsonObject:
        return self.watched.objects.get(self._key) or {}

    def of(self, namespace: str, lookups: Lookups) -> Runs:
        """Return the runs of a workload of this namespace, as the pods of the same owner were told before."""
        if lookups.workload_names is None:
            return (), ()
        memory, (exact, coarse) = self.now(), lookups.workload_names
        runs = memory.samples_of(namespace, exact), memory.samples_of(namespace, coarse)
        return self._answers.of(namespace, lookups, runs)


@dataclass(slots=True)
class GangAnswers:
    """What the pods of each owner were told last, for as long as its pods keep coming."""

    now: Callable[[], float] = time.monotonic
    _answers: OrderedDict[tuple[object, ...], tuple[float, Runs]] = field(default_factory=OrderedDict, init=False)
    """Until when each answer counts, and the answer. The one that was given last comes last."""

    def of(self, namespace: str, lookups: Lookups, runs: Runs) -> Runs:
        """Return the answer that a pod's peers got if they came shortly before, else these runs."""
        if not lookups.gang:
            return runs
        key, now = (namespace, lookups.gang, lookups.workload_names), self.now()
        until, answer = self._answers.pop(key, (now, runs))
        if until <= now:
            answer = runs
        self._answers[key] = (now + lookups.gang_seconds, answer)
        if len(self._answers) > _MOST_GANGS:
            self._answers.popitem(last=False)
        return answer


def _read(config_map: JsonObject) -> dict[str, Any]:
    """Return what a ConfigMap holds. It is read in the thread of the watch, so that no review waits for it."""
    data = config_map.get("data") or {}
    return {DATA_KEY: memory_in(data.get(DATA_KEY)), STOPS_KEY: stops_in(data.get(STOPS_KEY))}
