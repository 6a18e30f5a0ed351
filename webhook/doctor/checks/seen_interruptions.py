"""GK118: pods were given less than their own grace, as the observer saw in the last 30 days. What was seen proves a cap.

The observer follows training pods only. A kubelet's eviction and a node's shutdown run on clocks of their own, so no seconds
are known for them.
"""

from collections.abc import Iterator

from webhook.doctor.finding import Cure, Evidence, Finding, Severity, Unseen, UnseenReason
from webhook.doctor.learned_objects import memory_names
from webhook.doctor.lists import ClusterLists
from webhook.doctor.trainers import TrainingPod, losses_of
from webhook.policy.observed.interruptions import DATA_KEY, Interruption, Tally, tallies_in
from webhook.policy.observed.termination import TerminationClass
from webhook.policy.pod.metadata import JsonObject, metadata_of

ID = "GK118"
_CAUSES = {
    "ephemeral-storage-limit": "beyond their limit of ephemeral-storage",
    "emptydir-limit": "beyond the sizeLimit of an emptyDir",
    "memory-pressure": "as their node ran out of memory",
    "disk-pressure": "as their node's disk ran full",
    "node-pressure": "as their node ran out of something",
}


def findings(lists: ClusterLists) -> Iterator[Finding | Unseen]:
    """Yield one finding for each way in which the pods of a namespace were ended, those that were seen most often first."""
    by_name = {_key(each): each for each in lists.of("ConfigMap")}
    for namespace, name in dict.fromkeys(memory_names(lists.of("Deployment"))):
        held = by_name.get((namespace, name))
        if held is None or "unseen" in held:
            yield _unseen(namespace, name, held)
            continue
        tallies = tallies_in((held.get("data") or {}).get(DATA_KEY))
        for interruption, tally in sorted(tallies.items(), key=lambda each: -each[1].count):
            trainers = [each for each in lists.trainers if each.namespace == interruption.namespace]
            yield _finding(interruption, tally, trainers, f"kubectl get configmap {name} -n {namespace}")


def _key(manifest: JsonObject) -> tuple[str, str]:
    metadata = metadata_of(manifest)
    return metadata.get("namespace", ""), metadata.get("name", "")


def _unseen(namespace: str, name: str, held: JsonObject | None) -> Unseen:
    command = f"kubectl get configmap {name} -n {namespace} -o json"
    what = f"what the observer has seen (ConfigMap {namespace}/{name})"
    if held is None:
        return Unseen(ID, what, UnseenReason.NOT_IN_DUMP, "it is not there.", f"{command} > {name}.json")
    reason, message = UnseenReason(held["unseen"]["reason"]), held["unseen"]["message"]
    return Unseen(ID, what, reason, f"it cannot be read ({message}).", command)


def _finding(interruption: Interruption, tally: Tally, trainers: list[TrainingPod], get: str) -> Finding:
    namespace, seconds = interruption.namespace, interruption.granted_seconds
    is_overridden = interruption.kind is TerminationClass.OVERRIDDEN
    return Finding(
        check=ID,
        severity=Severity.WARNING,
        subject=f"{interruption.kind} pods of namespace {namespace}" + (f" ({seconds} s)" if is_overridden else ""),
        sentence=f"{_who(interruption, tally)} The last was pod {tally.pod}.",
        cure=_cure(interruption, tally),
        evidence=(Evidence(f"{get} -o jsonpath='{{.data.{DATA_KEY}}}'", f".data.{DATA_KEY}", f"{tally.count} times"),),
        losses=losses_of(trainers, seconds) if is_overridden else (),
        pods=() if is_overridden else tuple(sorted(each.full_name for each in trainers)),
    )


def _who(interruption: Interruption, tally: Tally) -> str:
    namespace, count = interruption.namespace, tally.count
    who = f"{count} training pods of namespace {namespace} were" if count > 1 else f"1 training pod of {namespace} was"
    if interruption.kind is TerminationClass.OVERRIDDEN:
        by = f", by {interruption.cause}" if interruption.cause else ""
        return (
            f"{who} given {interruption.granted_seconds} s in the last 30 days, although up to {tally.own_seconds} s were "
            f"asked for{by}."
        )
    if interruption.kind is TerminationClass.EVICTED:
        why = _CAUSES.get(interruption.cause, "by their kubelet")
        return f"{who} evicted in the last 30 days, {why}. A hard eviction leaves about 2 s of up to {tally.own_seconds} s."
    return (
        f"{who} ended by the shutdown of their node in the last 30 days, in the time that the kubelet keeps for it, not in "
        f"their up to {tally.own_seconds} s."
    )


def _cure(interruption: Interruption, tally: Tally) -> Cure:
    namespace = interruption.namespace
    if interruption.kind is TerminationClass.OVERRIDDEN:
        return Cure(
            f"kubectl events -n {namespace} --for pod/{tally.pod}",
            "Events last an hour by default; an audit log tells who deleted the pod as well. Then take the number out there: a "
            "delete that names no grace keeps the pod's own.",
        )
    if interruption.kind is TerminationClass.EVICTED:
        return Cure(
            f"gracekeeper doctor -n {namespace} --only GK305,GK306",
            "It says where a checkpoint has no room. Write checkpoints to a claim, and set requests of ephemeral-storage and "
            "memory equal to their limits.",
        )
    return Cure(
        "kubectl get nodes -L karpenter.sh/capacity-type,cloud.google.com/gke-spot,kubernetes.azure.com/scalesetpriority",
        "Raise shutdownGracePeriod of the kubelets up to the notice that the cloud gives, or train on nodes that are not spot.",
        "A changed kubelet configuration restarts the kubelets, not the pods.",
    )
