"""The pool table: what is the shortest time that a pod of each node pool can count on, and who makes it so."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from webhook.doctor.finding import Cap, Finding
from webhook.doctor.lists import ClusterLists
from webhook.doctor.trainers import TrainingPod
from webhook.policy.pod.metadata import JsonObject, labels_of

KARPENTER_POOL = "karpenter.sh/nodepool"
_POOL_LABELS = (
    KARPENTER_POOL,
    "eks.amazonaws.com/nodegroup",
    "cloud.google.com/gke-nodepool",
    "kubernetes.azure.com/agentpool",
)
_INSTANCE_TYPE = "node.kubernetes.io/instance-type"
_OTHER = "(other nodes)"
UNBOUND = "(pods without a node)"
_SPOT = (
    ("cloud.google.com/gke-spot", "true"),
    ("cloud.google.com/gke-preemptible", "true"),
    ("eks.amazonaws.com/capacityType", "SPOT"),
    ("karpenter.sh/capacity-type", "spot"),
    ("kubernetes.azure.com/scalesetpriority", "spot"),
)
"""The labels by which a cloud says that it may take a node away at short notice."""


@dataclass(frozen=True, slots=True)
class PoolRow:
    """One pool: its nodes, the smallest cap on any of them, and its training pods."""

    name: str
    nodes: int
    kubelets: tuple[str, ...]
    spot: bool
    cap: Cap | None
    """The smallest; None where nothing that was looked at cuts a grace."""
    check: str
    """The id of the check that knows the cap; empty without one."""
    trainers: int
    cut: int
    """How many of its training pods lose a part of their grace."""
    longest_seconds: int
    """The most that one of its training pods asks for; 0 without any."""


def pool_of(node_labels: Mapping[str, str]) -> str:
    """Return the pool of a node by its labels, else its instance type."""
    label = pool_label_of(node_labels)
    return _OTHER if label is None else label[1]


def spot_label_of(node_labels: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the label that marks a node as one that the cloud may take away; None without one."""
    return next((label for label in _SPOT if node_labels.get(label[0]) == label[1]), None)


def pool_rows(lists: ClusterLists, findings: Iterable[Finding]) -> tuple[PoolRow, ...]:
    """Return a row for each pool, the one with the most pods cut first; a row for training pods without a node last."""
    nodes: dict[str, list[JsonObject]] = defaultdict(list)
    for node in lists.of("Node"):
        nodes[pool_of(labels_of(node))].append(node)
    trainers: dict[str, list[TrainingPod]] = defaultdict(list)
    for trainer in lists.trainers:
        labels = trainer.node_labels or _pool_labels_in(trainer.look.pod.placement.node_selector)
        trainers[pool_of(labels) if labels else UNBOUND].append(trainer)
    capping = [each for each in findings if each.cap is not None]
    rows = [_row(pool, nodes[pool], trainers[pool], capping) for pool in {*nodes, *trainers}]
    return tuple(sorted(rows, key=lambda row: (row.name == UNBOUND, -row.cut, row.name)))


def caps_to_configure(lists: ClusterLists, findings: Iterable[Finding]) -> tuple[Cap, ...]:
    """Return the caps as the chart's `graceCaps` can say them: each by a selector, the smallest of those of one name."""
    node_labels = [labels_of(node) for node in lists.of("Node")]
    by_name: dict[str, Cap] = {}
    for finding in findings:
        for cap in () if finding.cap is None else _by_selectors(finding.cap, node_labels):
            held = by_name.get(cap.name)
            if held is None or cap.seconds < held.seconds:
                by_name[cap.name] = cap
    return tuple(by_name[name] for name in sorted(by_name))


def _by_selectors(cap: Cap, node_labels: Sequence[Mapping[str, str]]) -> Iterator[Cap]:
    """Yield the cap. One that leaves nodes out becomes one for each pool of the others, as no selector can leave out."""
    if cap.pool and any(pool_of(labels) != cap.pool for labels in node_labels):
        return
    if not cap.except_label or not any(cap.except_label in labels for labels in node_labels):
        yield cap
        return
    others = (pool_label_of(labels) for labels in node_labels if cap.holds_on(labels))
    for label, pool in sorted({each for each in others if each is not None}):
        yield replace(cap, name=f"{cap.name}, pool {pool}", node_selector={label: pool}, except_label="")


def pool_label_of(node_labels: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the label by which a node belongs to its pool; None where it has none."""
    labels = (*_POOL_LABELS, _INSTANCE_TYPE)
    return next(((label, node_labels[label]) for label in labels if node_labels.get(label)), None)


def _pool_labels_in(node_selector: Mapping[str, str]) -> dict[str, str]:
    return {label: node_selector[label] for label in _POOL_LABELS if label in node_selector}


def _row(
    pool: str, nodes: Sequence[JsonObject], trainers: Sequence[TrainingPod], capping: Sequence[Finding]
) -> PoolRow:
    cap, check = _smallest_cap(pool, nodes, capping)
    versions = {str(((node.get("status") or {}).get("nodeInfo") or {}).get("kubeletVersion") or "") for node in nodes}
    cut = {(loss.namespace, loss.name) for finding in capping for loss in finding.losses}
    return PoolRow(
        name=pool,
        nodes=len(nodes),
        kubelets=tuple(sorted(version.removeprefix("v") for version in versions if version)),
        spot=any(spot_label_of(labels_of(node)) for node in nodes),
        cap=cap,
        check=check,
        trainers=len(trainers),
        cut=sum((each.namespace, each.name) in cut for each in trainers),
        longest_seconds=max((each.asked_seconds for each in trainers if each.asks_for_time), default=0),
    )


def _smallest_cap(
    pool: str, nodes: Sequence[JsonObject], capping: Iterable[Finding]
) -> tuple[Cap, str] | tuple[None, str]:
    """Return the smallest cap that holds on any node of the pool, and the check that knows it.

    A pool without nodes has the labels that its name stands for.
    """
    of_nodes = [labels_of(node) for node in nodes] or [{} if pool == UNBOUND else dict.fromkeys(_POOL_LABELS, pool)]
    holding = [
        (finding.cap, finding.check)
        for finding in capping
        if finding.cap and finding.cap.pool in {"", pool} and any(finding.cap.holds_on(labels) for labels in of_nodes)
    ]
    return min(holding, key=lambda each: each[0].seconds, default=(None, ""))
