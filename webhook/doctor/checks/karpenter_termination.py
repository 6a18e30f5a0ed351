"""GK105: Karpenter ends a node after its NodePool's terminationGracePeriod, whatever the pods on it ask for.

A pod that asks for more than that is deleted the moment the drain starts, with what is left of the node's time
(kubernetes-sigs/karpenter, terminator/eviction.go). The NodeClaim counts: it keeps what its NodePool said when it was made.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from math import ceil

from webhook.doctor.durations import duration_seconds, in_words
from webhook.doctor.finding import Cap, Cure, Evidence, Finding, PodLoss, Severity
from webhook.doctor.lists import ClusterLists
from webhook.doctor.trainers import TrainingPod, losses_of
from webhook.policy.pod.metadata import JsonObject, annotations_of, labels_of, metadata_of

ID = "GK105"
_POOL_LABEL = "karpenter.sh/nodepool"
_FIELD = "terminationGracePeriod"
_DO_NOT_DISRUPT = "karpenter.sh/do-not-disrupt"
_DRAIN_SECONDS = 300
"""What a drain takes beside the longest grace: Karpenter evicts first, and waits."""
_ROUND_SECONDS = 300
_DEFAULT_BUDGETS = ({"nodes": "10%"},)
_NO_DRIFT = {"nodes": "0", "reasons": ["Drifted"]}


def findings(lists: ClusterLists) -> Iterator[Finding]:
    """Yield one finding for each NodePool and each time that its nodes have."""
    claims = lists.of("NodeClaim")
    for pool in lists.of("NodePool"):
        name = metadata_of(pool).get("name", "")
        trainers = [each for each in lists.trainers if each.is_on({_POOL_LABEL: name})]
        of_pool = [claim for claim in claims if labels_of(claim).get(_POOL_LABEL) == name]
        for text, of_text in _by_time(pool, of_pool, trainers).items():
            yield from _findings_of(pool, text, of_text)


def _by_time(
    pool: JsonObject, claims: Sequence[JsonObject], trainers: Sequence[TrainingPod]
) -> Mapping[str, list[TrainingPod]]:
    """Return the training pods by the time that their node has, as its NodeClaim says it, else the NodePool."""
    of_pool = _time_of(((pool.get("spec") or {}).get("template") or {}).get("spec"))
    by_node = {(claim.get("status") or {}).get("nodeName"): _time_of(claim.get("spec")) for claim in claims}
    by_time: dict[str, list[TrainingPod]] = {of_pool: []}
    for trainer in trainers:
        by_time.setdefault(by_node.get(trainer.node_name or None, of_pool), []).append(trainer)
    return by_time


def _time_of(spec: JsonObject | None) -> str:
    text = (spec or {}).get(_FIELD)
    return text if isinstance(text, str) else ""


def _findings_of(pool: JsonObject, text: str, trainers: Sequence[TrainingPod]) -> Iterator[Finding]:
    seconds = duration_seconds(text)
    if seconds is None:  # it waits for the pods
        return
    given = int(seconds)
    name = metadata_of(pool).get("name", "")
    losses = losses_of(trainers, given)
    is_of_pool = _time_of(((pool.get("spec") or {}).get("template") or {}).get("spec")) == text
    longest = max((loss.asked_seconds for loss in losses), default=given)
    cap = Cap(f"Karpenter NodePool {name}", given, {_POOL_LABEL: name}, may_bound=_blocks_disruption(trainers, losses))
    yield Finding(
        check=ID,
        severity=Severity.ERROR if losses else Severity.INFO,
        subject=f"NodePool {name}",
        sentence=_sentence(name, text, is_of_pool=is_of_pool),
        cure=_cure(pool, text, longest) if is_of_pool else _cure_of_claims(name, text),
        evidence=(_evidence(name, text, is_of_pool=is_of_pool),),
        losses=losses,
        cap=cap,
    )


def _sentence(name: str, text: str, *, is_of_pool: bool) -> str:
    whose = f"Karpenter ends the nodes of NodePool {name} {text} after their drain starts"
    if not is_of_pool:
        whose = f"NodePool {name} was changed, but nodes that it made before still end {text} after their drain starts"
    return f"{whose}. A pod that asks for more is deleted at the start of the drain, and gets {text} at most."


def _cure(pool: JsonObject, text: str, longest_seconds: int) -> Cure:
    name, spec = metadata_of(pool).get("name", ""), pool.get("spec") or {}
    wanted = ceil((longest_seconds + _DRAIN_SECONDS) / _ROUND_SECONDS) * _ROUND_SECONDS
    budgets = [*((spec.get("disruption") or {}).get("budgets") or _DEFAULT_BUDGETS)]
    if _NO_DRIFT not in budgets:
        budgets.append(_NO_DRIFT)
    patch = {"spec": {"template": {"spec": {_FIELD: in_words(wanted)}}, "disruption": {"budgets": budgets}}}
    return Cure(
        f"kubectl patch nodepools.karpenter.sh {name} --type merge -p '{json.dumps(patch)}'",
        note=f"Nodes that run keep {text} until they are replaced: a NodeClaim never changes.",
        restarts="The change makes every node of the pool Drifted, and a drifted node is drained with its old time. The "
        "patch therefore adds a budget that stops replacement for drift. Remove that budget when your training pods have "
        "ended.",
    )


def _cure_of_claims(name: str, text: str) -> Cure:
    return Cure(
        f"kubectl get nodeclaims.karpenter.sh -l {_POOL_LABEL}={name} "
        f"-o custom-columns=NAME:.metadata.name,NODE:.status.nodeName,TIME:.spec.{_FIELD}",
        note=f"Delete each NodeClaim that shows {text} once its training pods have ended: kubectl delete nodeclaim NAME.",
        restarts="Deleting a NodeClaim drains its node and restarts the pods on it.",
    )


def _evidence(name: str, text: str, *, is_of_pool: bool) -> Evidence:
    if is_of_pool:
        path = f".spec.template.spec.{_FIELD}"
        return Evidence(f"kubectl get nodepools.karpenter.sh {name} -o jsonpath='{{{path}}}'", path, text)
    path = f".items[*].spec.{_FIELD}"
    command = f"kubectl get nodeclaims.karpenter.sh -l {_POOL_LABEL}={name} -o jsonpath='{{{path}}}'"
    return Evidence(command, path, text)


def _blocks_disruption(trainers: Sequence[TrainingPod], losses: Sequence[PodLoss]) -> bool:
    """Return whether every pod that loses keeps Karpenter from disrupting its node by choice.

    Only then does a grace above the node's time do harm alone: it moves the pod's end to the start of a drain that has to be.
    """
    lost = {(loss.namespace, loss.name) for loss in losses}
    of_lost = [each for each in trainers if (each.namespace, each.name) in lost]
    return bool(of_lost) and all(annotations_of(each.manifest).get(_DO_NOT_DISRUPT) == "true" for each in of_lost)
