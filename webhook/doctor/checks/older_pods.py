"""GK311: pods run with less grace than gracekeeper gives them today: a pod keeps what it was created with.

They were created before gracekeeper, while the API server could not call it, or with another configuration or size.
"""

from collections import defaultdict
from collections.abc import Iterator

from webhook.doctor.finding import Cure, Evidence, Finding, PodLoss, Severity
from webhook.doctor.lists import ClusterLists
from webhook.doctor.trainers import losses_of_unpatched
from webhook.policy.configuration import Mode

ID = "GK311"
_MOST_IN_COMMAND = 20


def findings(lists: ClusterLists) -> Iterator[Finding]:
    """Yield one finding for each namespace with such pods."""
    by_namespace: dict[str, list[PodLoss]] = defaultdict(list)
    for loss in losses_of_unpatched(lists.trainers):
        by_namespace[loss.namespace].append(loss)
    audited = {each.namespace for each in lists.trainers if each.decision.mode is Mode.AUDIT}
    for namespace, losses in sorted(by_namespace.items()):
        yield _finding(namespace, tuple(losses), is_audited=namespace in audited)


def _finding(namespace: str, losses: tuple[PodLoss, ...], *, is_audited: bool) -> Finding:
    first, count = losses[0], len(losses)
    who = "1 pod runs" if count == 1 else f"{count} pods run"
    them = "it" if count == 1 else "them"
    audit = " gracekeeper only audits there: it gives no pod more until its `mode` is `enforce`." if is_audited else ""
    path = ".spec.terminationGracePeriodSeconds"
    return Finding(
        check=ID,
        severity=Severity.WARNING,
        subject=f"pods of namespace {namespace}",
        sentence=f"{who} in namespace {namespace} with less grace than gracekeeper gives {them} today, because a pod keeps "
        f"what it was created with. Recreate {them} after the next checkpoint, not before.{audit}",
        cure=Cure(
            f"kubectl delete pod -n {namespace} {' '.join(loss.name for loss in losses[:_MOST_IN_COMMAND])}",
            f"Wait for the next checkpoint: a pod that is deleted now has {first.given_seconds} s to save. Its controller "
            "creates it anew. A pod without a controller you create yourself.",
            "It restarts these pods.",
        ),
        evidence=(
            Evidence(
                f"kubectl get pod {first.name} -n {namespace} -o jsonpath='{{{path}}}'", path, str(first.given_seconds)
            ),
        ),
        losses=losses,
    )
