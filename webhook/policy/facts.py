"""What the cluster told about a pod's surroundings, gathered before the policy starts.

Objects are dicts as the API server sent them; nothing here ever asks for more.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

JsonObject = Mapping[str, Any]


class MissingReason(StrEnum):
    """Why a fact could not be had; the slugs label a metric."""

    DEADLINE = "deadline"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    ERROR = "error"
    TOO_MANY = "too-many"


@dataclass(frozen=True, slots=True)
class Missing:
    """One object that the decision had to do without, e.g. `PersistentVolumeClaim team-a/data`."""

    what: str
    reason: MissingReason

    def __str__(self) -> str:
        """The object and the reason, as a decision lists them."""
        return f"{self.what}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Sidecars:
    """Whether the cluster runs native sidecars as they are meant, and what its nodes are."""

    native: bool = False
    why_not: str = "the cluster's versions are not known yet"
    """Why osmo-ctrl is not made a native sidecar, in words for the decision; empty where it is."""
    architectures: frozenset[str] = frozenset()
    """Architectures of the schedulable Linux nodes, as in kubernetes.io/arch; empty: not known."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Objects around one pod; an empty Facts means that nothing is known."""

    namespace: JsonObject | None = None
    claims: Mapping[str, JsonObject] = field(default_factory=dict)
    persistent_volumes: Mapping[str, JsonObject] = field(default_factory=dict)
    storage_classes: Mapping[str, JsonObject] = field(default_factory=dict)
    volume_attributes_classes: Mapping[str, JsonObject] = field(default_factory=dict)
    sidecars: Sidecars = Sidecars()
    limit_ranges: tuple[JsonObject, ...] | None = ()
    """LimitRanges of the pod's namespace; None: not known."""
    resource_quotas: tuple[JsonObject, ...] | None = ()
    """ResourceQuotas of the pod's namespace; None: not known."""
    job: JsonObject | None = None
    """The Job that made the pod, where it is an Indexed Job whose number of pods counts."""
    accelerator_memory_mib: Mapping[str, int] = field(default_factory=dict)
    """MiB of one GPU by the value of nvidia.com/gpu.product, from the schedulable nodes; empty: not known."""
    missing: tuple[Missing, ...] = ()


def claim_names(pod: JsonObject) -> tuple[str, ...]:
    """The PersistentVolumeClaims that the pod's volumes refer to, in the order of its volumes."""
    return tuple(dict.fromkeys(name for _, name in claims_by_volume(pod)))


def claims_by_volume(pod: JsonObject) -> Iterator[tuple[str, str]]:
    """Pairs of volume name and claim name.

    A generic ephemeral volume's claim is named `<pod>-<volume>`, so it is known only once the pod has a name.
    """
    pod_name = (pod.get("metadata") or {}).get("name")
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if claim is None and volume.get("ephemeral") and pod_name:
            claim = f"{pod_name}-{volume['name']}"
        if claim and isinstance(claim, str):
            yield volume["name"], claim
