"""The chart's pre-pull DaemonSet, watched: whether supervise's image is on the nodes.

Law: while in doubt the image counts as missing, and `forward-sigterm: auto` wraps no pod.
"""

from collections.abc import Mapping
from typing import Any

from webhook.api import Api
from webhook.cluster.sidecars import Probe
from webhook.cluster.stream import Kind, Patience
from webhook.cluster.watched import Derived, Watched
from webhook.log import Logger
from webhook.policy.facts import PrePull, pre_pull_of
from webhook.policy.pod.metadata import JsonObject

_SILENT_SECONDS = 180.0
"""After which a DaemonSet that nothing was heard of counts as unknown; a watch hears at least its own end in two minutes."""
_OF_POD = ("nodeSelector", "tolerations", "imagePullSecrets")
_OF_STATUS = ("desiredNumberScheduled", "numberReady", "updatedNumberScheduled", "observedGeneration")


def pre_pull_watch(api: Api, probe: Probe, logger: Logger, patience: Patience) -> "PrePullWatch | None":
    """Return the watch of the DaemonSet that the probe names; None where there is none."""
    if probe.namespace is None or probe.pre_pull is None:
        return None
    kind = Kind("DaemonSet", (f"/apis/apps/v1/namespaces/{probe.namespace}/daemonsets",), _slim)
    return PrePullWatch(Watched(api, kind, logger, patience), f"{probe.namespace}/{probe.pre_pull}")


class PrePullWatch:
    """One DaemonSet among those of gracekeeper's namespace."""

    def __init__(self, watched: Watched, key: str, silent_seconds: float = _SILENT_SECONDS) -> None:
        """Watch the DaemonSet of this `namespace/name`."""
        self._silent_seconds = silent_seconds
        self.watched = watched
        self._key = key
        self._all = Derived(watched, _read)

    def now(self) -> PrePull:
        """Return what is known at this moment. It never waits."""
        if self.watched.forbidden:
            return PrePull(why_not="gracekeeper may not read the pre-pull DaemonSet")
        if not self.watched.synced:
            return PrePull(why_not="the pre-pull DaemonSet is not known yet")
        if self.watched.age_seconds() > self._silent_seconds:
            return PrePull(why_not="the pre-pull DaemonSet has not been heard of for minutes")
        return self._all.now().get(self._key) or PrePull(why_not="the pre-pull DaemonSet does not exist")


def _read(daemon_sets: Mapping[str, JsonObject]) -> Mapping[str, PrePull]:
    return {key: pre_pull_of(daemon_set) for key, daemon_set in daemon_sets.items()}


def _slim(daemon_set: JsonObject) -> dict[str, Any]:
    metadata, status = daemon_set["metadata"], daemon_set.get("status") or {}
    pod = ((daemon_set.get("spec") or {}).get("template") or {}).get("spec") or {}
    images = [{"image": container.get("image")} for container in pod.get("containers") or ()]
    slim_pod = {field: pod[field] for field in _OF_POD if field in pod}
    return {
        "metadata": {"generation": metadata.get("generation")},
        "spec": {"template": {"spec": {**slim_pod, "containers": images}}},
        "status": {field: status[field] for field in _OF_STATUS if field in status},
    }
