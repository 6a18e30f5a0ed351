"""What the conversion of OSMO task pods must know of the cluster: native sidecars, and what namespaces ask of containers.

All of it is watched, so that nobody waits for it.
"""

import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import TypedDict

from webhook.api import Api
from webhook.cluster.pre_pull import PrePullWatch
from webhook.cluster.sidecars import SidecarSupport
from webhook.cluster.stream import Kind, Patience
from webhook.cluster.watched import Derived, Watched
from webhook.log import Logger
from webhook.policy.facts import PrePull, Sidecars
from webhook.policy.pod.metadata import JsonObject


def _slim(manifest: JsonObject) -> dict[str, JsonObject]:
    """Without the status: what a quota has left changes with every pod."""
    metadata = manifest["metadata"]
    return {
        "metadata": {"name": metadata.get("name"), "namespace": metadata.get("namespace")},
        "spec": manifest.get("spec") or {},
    }


_FORCED = "the API server makes every container pull its image (AlwaysPullImages)"
LIMIT_RANGE = Kind("LimitRange", ("/api/v1/limitranges",), _slim)
RESOURCE_QUOTA = Kind("ResourceQuota", ("/api/v1/resourcequotas",), _slim)


class OfNamespace(TypedDict, total=False):
    """Fields of Facts; those that are not there keep their defaults."""

    sidecars: Sidecars
    limit_ranges: tuple[JsonObject, ...] | None
    resource_quotas: tuple[JsonObject, ...] | None
    pre_pull: PrePull | None


class TaskFacts:
    """Two watches and the question about sidecars."""

    def __init__(
        self,
        api: Api,
        sidecars: SidecarSupport,
        logger: Logger,
        patience: Patience,
        pre_pull: PrePullWatch | None = None,
    ) -> None:
        self._limit_ranges = ByNamespace(Watched(api, LIMIT_RANGE, logger, patience))
        self._resource_quotas = ByNamespace(Watched(api, RESOURCE_QUOTA, logger, patience))
        self.watched: tuple[Watched, ...] = (self._limit_ranges.watched, self._resource_quotas.watched)
        if pre_pull is not None:
            self.watched = (*self.watched, pre_pull.watched)
        self._pre_pull = pre_pull
        self.sidecars = sidecars

    def start(self, stop: threading.Event) -> None:
        """Ask about sidecars from now on; the watches are started by whoever starts all watches."""
        threading.Thread(target=self.sidecars.run, args=(stop,), name="sidecars", daemon=True).start()

    def of(self, namespace: str) -> OfNamespace:
        """For a pod of this namespace."""
        return {
            "sidecars": self.sidecars.now(),
            "limit_ranges": self._limit_ranges.of(namespace),
            "resource_quotas": self._resource_quotas.of(namespace),
            "pre_pull": self._pre_pull_now(),
        }

    def _pre_pull_now(self) -> PrePull | None:
        """Return what the DaemonSet tells, unless the API server shows that an image on the node does not suffice."""
        if self._pre_pull is None:
            return None
        pre_pull = self._pre_pull.now()
        return replace(pre_pull, why_not=_FORCED) if self.sidecars.forces_pulls else pre_pull


class ByNamespace:
    """The objects of a watched kind, by their namespace."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self._by_namespace = Derived(watched, _by_namespace)

    def of(self, namespace: str) -> tuple[JsonObject, ...] | None:
        """Those of one namespace; None where the kind is not known or may not be."""
        if not self.watched.synced or self.watched.forbidden:
            return None
        return self._by_namespace.now().get(namespace, ())


def _by_namespace(held: Mapping[str, JsonObject]) -> Mapping[str, tuple[JsonObject, ...]]:
    objects: dict[str, list[JsonObject]] = defaultdict(list)
    for _, each in sorted(held.items()):
        objects[each["metadata"]["namespace"]].append(each)
    return {namespace: tuple(each) for namespace, each in objects.items()}
