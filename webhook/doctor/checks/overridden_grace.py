"""GK117: a pod is being deleted with less than its own grace. That proves a cap, whoever made it.

The API server itself deletes some pods with 0 s: those that have no node yet and those that have ended. A kubelet's last
delete does the same to a pod that a finalizer keeps. Neither cuts anything.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from webhook.doctor.finding import Cure, Evidence, Finding, PodLoss, Severity, longest_loss_first
from webhook.doctor.lists import ClusterLists
from webhook.policy.pod.marks import MIRROR_ANNOTATION
from webhook.policy.pod.metadata import JsonObject, annotations_of, metadata_of
from webhook.policy.pod.pod import grace_seconds_of
from webhook.policy.pod.status import PodStatus, read_status

ID = "GK117"
_ACTORS = {
    0: "a forced delete (`--force`), or `--grace-period=0`",
    1: "`kubectl delete --now`, or Karpenter at the end of a node's time",
    60: "NVSentinel's node-drainer, or a drain script",
    600: "cluster-autoscaler, whose default is 600 s",
}
_ENDS = ("containerStatuses", "initContainerStatuses")


def findings(lists: ClusterLists) -> Iterator[Finding]:
    """Yield one finding for each number of seconds that pods were given instead of their own."""
    trainers = {(each.namespace, each.name) for each in lists.trainers}
    by_seconds: dict[int, list[tuple[PodLoss, PodStatus]]] = defaultdict(list)
    for pod in lists.of("Pod"):
        status = read_status(pod)
        if _is_overridden(pod, status) and status.deletion is not None:
            metadata, given = metadata_of(pod), status.deletion.grace_seconds
            loss = PodLoss(metadata.get("namespace", ""), metadata.get("name", ""), grace_seconds_of(pod), given)
            by_seconds[given].append((loss, status))
    for seconds, overridden in sorted(by_seconds.items()):
        of_trainers = [each for each in overridden if (each[0].namespace, each[0].name) in trainers]
        yield _finding(seconds, of_trainers or overridden, len(overridden), trains=bool(of_trainers))


def _is_overridden(pod: JsonObject, status: PodStatus) -> bool:
    deletion = status.deletion
    return (
        deletion is not None
        and deletion.grace_seconds < grace_seconds_of(pod)
        and bool((pod.get("spec") or {}).get("nodeName"))
        and not status.is_terminal
        and MIRROR_ANNOTATION not in annotations_of(pod)
    )


def _finding(seconds: int, overridden: Sequence[tuple[PodLoss, PodStatus]], count: int, *, trains: bool) -> Finding:
    losses = longest_loss_first([loss for loss, _ in overridden])
    first = losses[0]
    reasons = sorted({status.disruption for _, status in overridden if status.disruption})
    actor = _ACTORS.get(seconds, "somebody who names a grace of their own, such as a drain with `--grace-period`")
    by = f" Their DisruptionTarget condition says {', '.join(reasons)}." if reasons else ""
    who = f"{count} pods are" if count > 1 else "1 pod is"
    path = "{.metadata.deletionGracePeriodSeconds} of {.spec.terminationGracePeriodSeconds}"
    return Finding(
        check=ID,
        severity=Severity.WARNING if trains else Severity.INFO,
        subject=f"deletions with {seconds} s",
        sentence=f"{who} being deleted with {seconds} s instead of their own grace. The likely actor is {actor}.{by}",
        cure=Cure(
            f"kubectl events -n {first.namespace} --for pod/{first.name}",
            note="The events name who deleted the pod. Then take the number out there: a delete that names no grace "
            "keeps the pod's own.",
            restarts="It restarts nothing; the pods that are being deleted now are lost.",
        ),
        evidence=(
            Evidence(
                f"kubectl get pod {first.name} -n {first.namespace} -o jsonpath='{path}'",
                path,
                f"{first.given_seconds} of {first.asked_seconds}",
            ),
        ),
        losses=losses,
    )
