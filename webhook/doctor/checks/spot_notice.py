"""GK104: a spot or preemptible node is taken away at short notice, whatever the pods on it ask for.

Amazon gives 120 s, Azure 30 s. Google gives 30 s, of which the kubelet keeps 15 s for critical pods.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from webhook.doctor.finding import Cap, Cure, Evidence, Finding, Severity
from webhook.doctor.lists import ClusterLists
from webhook.doctor.pools import pool_of, spot_label_of
from webhook.doctor.trainers import losses_of
from webhook.policy.pod.metadata import JsonObject, labels_of

ID = "GK104"
_AMAZON, _AZURE, _GOOGLE = ("Amazon", 120), ("Azure", 30), ("Google", 15)
_CLOUD_BY_LABEL = {
    "cloud.google.com/gke-spot": _GOOGLE,
    "cloud.google.com/gke-preemptible": _GOOGLE,
    "eks.amazonaws.com/capacityType": _AMAZON,
    "kubernetes.azure.com/scalesetpriority": _AZURE,
}
_CLOUD_BY_PROVIDER = {"azure": _AZURE, "gce": _GOOGLE}
_MOST_POOLS = 3


def findings(lists: ClusterLists) -> Iterator[Finding]:
    """Yield one finding for each label that marks nodes as spot."""
    nodes: dict[tuple[str, str], list[JsonObject]] = defaultdict(list)
    for node in lists.of("Node"):
        label = spot_label_of(labels_of(node))
        if label is not None:
            nodes[label].append(node)
    for (name, value), of_label in sorted(nodes.items()):
        yield _finding(lists, name, value, of_label)


def _finding(lists: ClusterLists, name: str, value: str, nodes: Sequence[JsonObject]) -> Finding:
    cloud, seconds = min((_cloud_of(name, node) for node in nodes), key=lambda each: each[1])
    losses = losses_of((each for each in lists.trainers if each.is_on({name: value})), seconds)
    pools = sorted({pool_of(labels_of(node)) for node in nodes})
    named = ", ".join(pools[:_MOST_POOLS]) + (
        f" and {len(pools) - _MOST_POOLS} more" if len(pools) > _MOST_POOLS else ""
    )
    return Finding(
        check=ID,
        severity=Severity.WARNING if losses else Severity.INFO,
        subject=f"nodes with {name}={value}",
        sentence=f"{_count(nodes)} of pool {named}. {cloud} takes one away with {seconds} s for its pods.",
        cure=Cure(
            f"gracekeeper doctor --only {ID} -o config",
            note="It prints graceCaps for the chart, so that admission warns each such pod. Let a pod that needs longer ask "
            "for other nodes, or save less in each pod (`gracekeeper.dev/checkpoint-writers`).",
            restarts="graceCaps restart nothing. A pod moves to other nodes with its next start.",
        ),
        evidence=(Evidence(f"kubectl get nodes -l {name}={value}", f".metadata.labels['{name}']", value),),
        losses=losses,
        cap=Cap(f"spot notice of {cloud}", seconds, {name: value}),
    )


def _count(nodes: Sequence[JsonObject]) -> str:
    return "There is 1 spot node" if len(nodes) == 1 else f"There are {len(nodes)} spot nodes"


def _cloud_of(label: str, node: JsonObject) -> tuple[str, int]:
    """Return the cloud and its notice. Karpenter's label is the same on all clouds; the provider's id tells them apart."""
    provider = str((node.get("spec") or {}).get("providerID") or "").partition(":")[0]
    return _CLOUD_BY_LABEL.get(label) or _CLOUD_BY_PROVIDER.get(provider, _AMAZON)
