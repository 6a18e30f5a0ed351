"""What the observer has learned, as the servers read it: one ConfigMap, watched by its name.

Law: a memory that cannot be read teaches nothing, and no pod waits for it.
"""

from webhook.api import Api
from webhook.cluster.stream import Kind, Patience
from webhook.cluster.watched import Watched
from webhook.log import Logger
from webhook.policy.facts import Lookups
from webhook.policy.observed.memory import DATA_KEY, Memory, Sample, memory_in
from webhook.policy.pod.metadata import JsonObject


class EarlierRuns:
    """The runs of workloads that were seen to end."""

    def __init__(self, api: Api, namespace: str, name: str, logger: Logger, patience: Patience) -> None:
        """Read them from this ConfigMap."""
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        kind = Kind("ConfigMap", (path,), _read, {"fieldSelector": f"metadata.name={name}"})
        self.watched = Watched(api, kind, logger, patience)
        self._key = f"{namespace}/{name}"

    def now(self) -> Memory:
        """Return what is known at this moment. It never waits."""
        memory: Memory = (self.watched.objects.get(self._key) or {}).get(DATA_KEY) or Memory()
        return memory

    def of(self, namespace: str, lookups: Lookups) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
        """Return the runs of the exact and of the coarse name of a workload of this namespace, the oldest first."""
        if lookups.workload_names is None:
            return (), ()
        memory, (exact, coarse) = self.now(), lookups.workload_names
        return memory.samples_of(namespace, exact), memory.samples_of(namespace, coarse)


def _read(config_map: JsonObject) -> dict[str, Memory]:
    """Return the memory that a ConfigMap holds. It is read in the thread of the watch, so that no review waits for it."""
    return {DATA_KEY: memory_in((config_map.get("data") or {}).get(DATA_KEY))}
