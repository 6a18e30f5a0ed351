"""GK301: a PodDisruptionBudget lets no training pod be evicted, so a drain waits until somebody ends it by force.

A drain evicts pods, and an eviction that a budget refuses is tried again. GKE stops trying after 1 h, EKS after 15 min, and
Karpenter at the node's terminationGracePeriod. Then the node ends with the pods on it, whatever is left of their grace.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from webhook.doctor.finding import Cure, Evidence, Finding, Severity
from webhook.doctor.lists import ClusterLists
from webhook.doctor.selectors import selects
from webhook.doctor.trainers import TrainingPod
from webhook.policy.pod.metadata import JsonObject, labels_of, metadata_of

ID = "GK301"


def findings(lists: ClusterLists) -> Iterator[Finding]:
    """Yield one finding for each budget that lets no pod go among those that it covers."""
    for budget in lists.of("PodDisruptionBudget"):
        trainers = _covered(budget, lists.trainers)
        if trainers and (_blocks_always(budget) or _blocks_now(budget)):
            yield _finding(budget, trainers)


def _covered(budget: JsonObject, trainers: Sequence[TrainingPod]) -> list[TrainingPod]:
    """Return the training pods that a budget selects. One without a selector selects none, an empty one all."""
    selector, namespace = (budget.get("spec") or {}).get("selector"), metadata_of(budget).get("namespace")
    if selector is None:
        return []
    return [each for each in trainers if each.namespace == namespace and selects(selector, labels_of(each.manifest))]


def _blocks_always(budget: JsonObject) -> bool:
    """Return whether it lets no pod go even while all of them are healthy."""
    spec = budget.get("spec") or {}
    if spec.get("maxUnavailable") in {0, "0", "0%"} or spec.get("minAvailable") == "100%":
        return True
    expected, least = _number(budget, "expectedPods"), spec.get("minAvailable")
    return isinstance(least, int) and expected is not None and least >= expected > 0


def _blocks_now(budget: JsonObject) -> bool:
    return _number(budget, "disruptionsAllowed") == 0 and (_number(budget, "expectedPods") or 0) > 0


def _number(budget: JsonObject, name: str) -> int | None:
    value = (budget.get("status") or {}).get(name)
    return value if isinstance(value, int) else None


def _finding(budget: JsonObject, trainers: Sequence[TrainingPod]) -> Finding:
    metadata = metadata_of(budget)
    namespace, name = metadata.get("namespace", ""), metadata.get("name", "")
    is_lasting = _blocks_always(budget)
    longest = max(each.asked_seconds for each in trainers)
    when = "lets no pod be evicted" if is_lasting else "lets no pod be evicted now, as some of its pods are not ready"
    patch: dict[str, Any] = {"spec": {"maxUnavailable": 1, "minAvailable": None}}
    path = "{.spec.maxUnavailable} {.spec.minAvailable} {.status.disruptionsAllowed}"
    return Finding(
        check=ID,
        severity=Severity.WARNING if is_lasting else Severity.INFO,
        subject=f"PodDisruptionBudget {namespace}/{name}",
        sentence=f"PodDisruptionBudget {namespace}/{name} {when}. A drain waits for it until it is forced (GKE 1 h, EKS "
        f"15 min, Karpenter at the node's end; AKS gives up). Then training pods may get less than the up to {longest} s "
        "that they ask for.",
        cure=Cure(
            f"kubectl patch poddisruptionbudget {name} -n {namespace} --type merge -p '{json.dumps(patch)}'",
            "Accept it if no pod may be moved: then drain the nodes by hand, between two runs.",
            "It restarts nothing. A drain that waits goes on, and evicts one pod at a time with its own grace.",
        ),
        evidence=(
            Evidence(
                f"kubectl get poddisruptionbudget {name} -n {namespace} -o jsonpath='{path}'",
                ".spec.maxUnavailable, .spec.minAvailable, .status.disruptionsAllowed",
                _in_words(budget),
            ),
        ),
        pods=tuple(sorted(each.full_name for each in trainers)),
    )


def _in_words(budget: JsonObject) -> str:
    spec = budget.get("spec") or {}
    values = (spec.get("maxUnavailable"), spec.get("minAvailable"), _number(budget, "disruptionsAllowed"))
    return ", ".join("(not set)" if value is None else str(value) for value in values)
