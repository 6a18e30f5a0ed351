"""GK108: cluster-autoscaler gives a pod `--max-graceful-termination-sec` at most when it takes a node away (600 s by default).

`--drain-priority-config` replaces that number by one for each group of priorities. Nodes of Karpenter are not its nodes.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence

from webhook.doctor.autoscaler import Autoscaler, autoscaler_of
from webhook.doctor.finding import Cap, Cure, Evidence, Finding, PodLoss, Severity
from webhook.doctor.lists import ClusterLists
from webhook.doctor.pools import KARPENTER_POOL
from webhook.doctor.trainers import TrainingPod, losses_of

ID = "GK108"
_FLAG = "--max-graceful-termination-sec"
_RESTARTS = "It restarts cluster-autoscaler, and no training pod."


def findings(lists: ClusterLists) -> Iterator[Finding]:
    """Yield one finding for each autoscaler, and for each number of seconds that it gives."""
    for kind in ("Deployment", "StatefulSet"):
        for manifest in lists.of(kind):
            autoscaler = autoscaler_of(kind, manifest)
            if autoscaler is not None:
                yield from _findings_of(autoscaler, lists.trainers)


def _findings_of(autoscaler: Autoscaler, trainers: Sequence[TrainingPod]) -> Iterator[Finding]:
    by_seconds: dict[int, list[TrainingPod]] = defaultdict(list)
    by_seconds[autoscaler.seconds_for(0)] = []
    for trainer in trainers:
        if KARPENTER_POOL not in trainer.node_labels:
            by_seconds[autoscaler.seconds_for(trainer.priority)].append(trainer)
    for seconds, of_seconds in sorted(by_seconds.items()):
        yield _finding(autoscaler, seconds, losses_of(of_seconds, seconds))


def _finding(autoscaler: Autoscaler, seconds: int, losses: tuple[PodLoss, ...]) -> Finding:
    flag = autoscaler.by_priority or autoscaler.maximum
    name = "--drain-priority-config" if autoscaler.by_priority else _FLAG
    value = f"{name}={flag.value}" if flag else f"(not set: {_FLAG}=600)"
    return Finding(
        check=ID,
        severity=Severity.WARNING if losses else Severity.INFO,
        subject=f"{autoscaler.kind} {autoscaler.full_name}",
        sentence=f"cluster-autoscaler ({autoscaler.kind} {autoscaler.full_name}) gives a pod {seconds} s at most when it "
        "takes a node away.",
        cure=_cure(autoscaler, max((loss.asked_seconds for loss in losses), default=seconds)),
        evidence=(
            Evidence(
                f"kubectl get {autoscaler.kind.lower()} {autoscaler.name} -n {autoscaler.namespace} "
                "-o jsonpath='{.spec.template.spec.containers[*].command} {.spec.template.spec.containers[*].args}'",
                ".spec.template.spec.containers[*].command, .args",
                value,
            ),
        ),
        losses=losses,
        cap=Cap("cluster-autoscaler", seconds, except_label=KARPENTER_POOL),
    )


def _cure(autoscaler: Autoscaler, wanted_seconds: int) -> Cure:
    what = f"{autoscaler.kind.lower()} {autoscaler.name} -n {autoscaler.namespace}"
    note = "Where Helm or an add-on manages it, set the argument there, or the next upgrade takes it away."
    if autoscaler.by_priority is not None:
        raise_it = f"Raise the seconds of these pods' group in --drain-priority-config to {wanted_seconds}. {note}"
        return Cure(f"kubectl edit {what}", raise_it, _RESTARTS)
    flag, word = autoscaler.maximum, f"{_FLAG}={wanted_seconds}"
    if flag is not None and flag.path:
        is_alone = "=" not in flag.text
        operation = {"op": "replace", "path": flag.path, "value": str(wanted_seconds) if is_alone else word}
    elif flag is None and autoscaler.list_path:
        operation = {"op": "add", "path": f"{autoscaler.list_path}/-", "value": word}
    else:
        return Cure(f"kubectl edit {what}", f"Write {word} into the line that starts it. {note}", _RESTARTS)
    return Cure(f"kubectl patch {what} --type json -p '{json.dumps([operation])}'", note, _RESTARTS)
