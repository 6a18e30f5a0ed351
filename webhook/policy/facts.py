"""What the cluster told about a pod's surroundings. Facts are gathered before the policy decides.

Objects are dicts as the API server sent them. Nothing here asks for more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from webhook.policy.observed.memory import Lesson, Sample
from webhook.policy.observed.wrapping_stops import WrappingStop
from webhook.policy.pod.metadata import JsonObject


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

    name: str
    reason: MissingReason

    def __str__(self) -> str:
        """Return the object and the reason, as a decision lists them."""
        return f"{self.name}: {self.reason}"

    @property
    def is_fault(self) -> bool:
        """Whether something is wrong: a claim that does not exist yet is normal, a silent API server is not."""
        return self.reason is not MissingReason.NOT_FOUND


@dataclass(frozen=True, slots=True)
class Namespace:
    """The pod's Namespace: its name, and the object where it is known."""

    name: str
    manifest: JsonObject | None = None
    missing: tuple[Missing, ...] = ()
    """Why the object is not known; empty where it is, or where nobody looked."""


@dataclass(frozen=True, slots=True)
class Lookups:
    """Which objects around a pod its decision can depend on. An empty one asks for nothing."""

    claim_names: tuple[str, ...] = ()
    """PersistentVolumeClaims of the pod's namespace, with the volumes and classes behind them."""
    job: str | None = None
    """Name of the Indexed Job whose number of pods may count."""
    nodes: bool = False
    """Whether only the nodes know how much memory the pod's GPUs have."""
    workload_names: tuple[str, str] | None = None
    """The exact and the coarse name under which the pod's earlier runs are remembered; None where nobody observes."""
    gang: str = ""
    """The JobSet or the owner whose pods get one answer from earlier runs; empty for a pod without one."""
    gang_seconds: float = 0
    """For how long after a pod of the gang the next one gets the same answer."""


@dataclass(frozen=True, slots=True)
class Sidecars:
    """Whether the cluster runs native sidecars as they are meant, and what its nodes are."""

    native: bool = False
    why_not: str = "the cluster's versions are not known yet"
    """Why osmo-ctrl is not made a native sidecar, in words for the decision; empty where it is."""
    architectures: frozenset[str] = frozenset()
    """Architectures of the schedulable Linux nodes, as in kubernetes.io/arch; empty: not known."""


@dataclass(frozen=True, slots=True)
class PrePull:
    """What the chart's pre-pull DaemonSet says: whether supervise's image is on the nodes that it covers."""

    image: str | None = None
    """The image that it keeps on its nodes; None: not known."""
    why_not: str = ""
    """Why the image may be missing on one of them, in words for the decision; empty where it is on all."""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    """Labels of the nodes that it covers, beside supervise's architectures."""
    pulls_with_secret: bool = False
    """Whether it pulls with a secret. A kubelet with KubeletEnsureSecretPulledImages (KEP-2535) then lets no other pod use the
    image that brings no such secret."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Objects around one pod, beside its Namespace; an empty Facts means that nothing is known."""

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
    replicas: int = 0
    """How many pods of the job train, where a file of the job lists them by role; 0: not known, as in a cluster."""
    accelerator_memory_mib: Mapping[str, int] = field(default_factory=dict)
    """MiB of one GPU by the value of nvidia.com/gpu.product, from the schedulable nodes; empty: not known."""
    pre_pull: PrePull | None = None
    """None where supervise's image is not pre-pulled."""
    exact_runs: tuple[Sample, ...] = ()
    """Earlier runs of this very workload, the oldest first."""
    coarse_runs: tuple[Sample, ...] = ()
    """Earlier runs of workloads that differ from it in numbers, dates and names at most."""
    wrapping_stop: WrappingStop | None = None
    """Why wrapping and labelling are stopped in the pod's namespace; None where they are not."""
    missing: tuple[Missing, ...] = ()

    @property
    def lost_a_save(self) -> bool:
        """Whether an earlier run of this workload lost its save, or was seen to keep it through supervise."""
        runs = self.exact_runs or self.coarse_runs
        return any(run.lesson.is_cut or run.lesson is Lesson.SAVED for run in runs)


def pre_pull_of(daemon_set: JsonObject) -> PrePull:
    """Return what a pre-pull DaemonSet tells. A node that it does not cover, or that is not ready, may lack the image."""
    pod = ((daemon_set.get("spec") or {}).get("template") or {}).get("spec") or {}
    images = {container.get("image") for container in pod.get("containers") or ()}
    status = daemon_set.get("status")
    wanted, ready, updated, observed = (
        _number(status, name)
        for name in ("desiredNumberScheduled", "numberReady", "updatedNumberScheduled", "observedGeneration")
    )
    why_not = ""
    if not any(_tolerates_all(toleration) for toleration in pod.get("tolerations") or ()):
        why_not = "supervise.prePull.tolerations leave nodes out"
    elif observed < _number(daemon_set.get("metadata"), "generation") or updated < wanted:
        why_not = "the pre-pull DaemonSet is being updated"
    elif not wanted or ready < wanted:
        why_not = f"the pre-pull DaemonSet is ready on {ready} of {wanted} nodes"
    image = images.pop() if len(images) == 1 else None
    return PrePull(image, why_not, pod.get("nodeSelector") or {}, bool(pod.get("imagePullSecrets")))


def _number(holder: JsonObject | None, name: str) -> int:
    value = (holder or {}).get(name)
    return value if isinstance(value, int) else 0


def _tolerates_all(toleration: JsonObject) -> bool:
    return toleration.get("operator") == "Exists" and not toleration.get("key") and not toleration.get("effect")
