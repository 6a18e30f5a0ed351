"""GK102: under pressure of memory or disk a kubelet kills a pod in about 2 s, whatever its grace, and so it does at its limits.

Kubelets before 1.31 gave the full grace by a bug. A node that runs one looks healthy until it is upgraded.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from webhook.doctor.finding import Cure, Evidence, Finding, PodLoss, Severity, longest_loss_first
from webhook.doctor.lists import ClusterLists
from webhook.doctor.trainers import TrainingPod
from webhook.policy.pod.metadata import JsonObject, metadata_of
from webhook.policy.pod.status import read_status

ID = "GK102"
_SECONDS = 2
_FIRST_THAT_KILLS = (1, 31)
_VERSION = re.compile(r"v?(\d{1,4})\.(\d{1,4})")
_MOST_VERSIONS = 3


@dataclass(frozen=True, slots=True)
class _Pressure:
    """Why a kubelet evicts, by a part of the pod's message, and what keeps it from that."""

    text: str
    words: str
    cure: str


_DISK = "Mount a claim for the checkpoints, and set requests of ephemeral-storage equal to the limits."
_PRESSURES = (
    _Pressure(
        "The node was low on resource: memory",
        "the node ran out of memory",
        "Set requests equal to limits for memory, so that the pod is of class Guaranteed and is evicted last.",
    ),
    _Pressure("The node was low on resource: ephemeral-storage", "the node's disk ran full", _DISK),
    _Pressure(
        "ephemeral local storage usage exceeds", "the pod wrote more than its limits of ephemeral-storage", _DISK
    ),
    _Pressure("exceeded its local ephemeral storage limit", "a container wrote more than its limit", _DISK),
    _Pressure("Usage of EmptyDir volume", "an emptyDir outgrew its sizeLimit", _DISK),
)
_OTHER = _Pressure("", "the node was under pressure", _DISK)


def findings(lists: ClusterLists) -> Iterator[Finding]:
    """Yield what kubelets have evicted, by cause, and the nodes whose kubelets are older than 1.31."""
    versions = {metadata_of(node).get("name"): _version_of(node) for node in lists.of("Node")}
    by_pressure: dict[_Pressure, list[TrainingPod]] = defaultdict(list)
    for trainer in lists.evicted:
        message = read_status(trainer.manifest).message
        by_pressure[next((each for each in _PRESSURES if each.text in message), _OTHER)].append(trainer)
    for pressure, evicted in by_pressure.items():
        yield _finding_on_evictions(pressure, evicted, versions)
    old = [node for node in lists.of("Node") if _is_old(_version_of(node))]
    if old:
        yield _finding_on_versions(old, lists)


def _version_of(node: JsonObject) -> str:
    return str(((node.get("status") or {}).get("nodeInfo") or {}).get("kubeletVersion") or "")


def _is_old(version: str) -> bool:
    match = _VERSION.match(version)
    return match is not None and (int(match[1]), int(match[2])) < _FIRST_THAT_KILLS


def _finding_on_evictions(
    pressure: _Pressure, evicted: Sequence[TrainingPod], versions: Mapping[object, str]
) -> Finding:
    losses = [
        PodLoss(each.namespace, each.name, each.asked_seconds, _SECONDS)
        for each in evicted
        if not _is_old(versions.get(each.node_name, "")) and each.asked_seconds > _SECONDS
    ]
    first = evicted[0]
    who = "1 training pod" if len(evicted) == 1 else f"{len(evicted)} training pods"
    path = "{.status.reason}: {.status.message}"
    return Finding(
        check=ID,
        severity=Severity.ERROR,
        subject=f"evictions, as {pressure.words}",
        sentence=f"The kubelet evicted {who}, as {pressure.words}. That kills in about {_SECONDS} s, whatever the grace.",
        cure=Cure(
            f"kubectl get pod {first.name} -n {first.namespace} -o jsonpath='{{.spec.containers[*].resources}}'",
            note=f"{pressure.cure} Save periodically: no grace helps against an eviction.",
            restarts="A pod template counts from the next pod on.",
        ),
        evidence=(
            Evidence(
                f"kubectl get pod {first.name} -n {first.namespace} -o jsonpath='{path}'",
                path,
                f"Evicted: {read_status(first.manifest).message.strip()}",
            ),
        ),
        losses=longest_loss_first(losses),
        pods=() if losses else tuple(sorted(each.full_name for each in evicted)),
    )


def _finding_on_versions(old: Sequence[JsonObject], lists: ClusterLists) -> Finding:
    names = {metadata_of(node).get("name") for node in old}
    pods = sorted(each.full_name for each in lists.trainers if each.node_name in names and each.asks_for_time)
    versions = sorted({_version_of(node).removeprefix("v") for node in old})
    shown = ", ".join(versions[:_MOST_VERSIONS])
    count, of_all = len(old), len(lists.of("Node"))
    return Finding(
        check=ID,
        severity=Severity.WARNING if pods else Severity.INFO,
        subject="kubelets before 1.31",
        sentence=f"{count} of {of_all} nodes run a kubelet before 1.31 ({shown}). It gives evicted pods their grace only by a "
        f"bug. The upgrade takes it away: an eviction then kills in about {_SECONDS} s.",
        cure=Cure(
            "kubectl get nodes -o custom-columns=NAME:.metadata.name,KUBELET:.status.nodeInfo.kubeletVersion",
            note="Before you upgrade these nodes, keep checkpoints off the node's disk (a claim), set requests equal to limits, "
            "and save periodically.",
            restarts="It restarts nothing. An upgrade drains the node.",
        ),
        evidence=(
            Evidence(
                f"kubectl get node {metadata_of(old[0]).get('name')} -o jsonpath='{{.status.nodeInfo.kubeletVersion}}'",
                ".status.nodeInfo.kubeletVersion",
                _version_of(old[0]),
            ),
        ),
        pods=tuple(pods),
    )
