"""GK305: the checkpoint goes to the node, and is larger than the pod may write there: the kubelet evicts it in 2 s, mid-write.

The limits are an emptyDir's `sizeLimit`, and the containers' limits of ephemeral-storage. From 1.37 a kubelet also holds native
sidecars to theirs.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from math import ceil

from webhook.doctor.finding import Cure, Evidence, Finding, Severity
from webhook.doctor.lists import ClusterLists
from webhook.doctor.owners import owner_of
from webhook.doctor.trainers import TrainingPod
from webhook.policy.storage.room import Shortage

ID = "GK305"
_GIB = 1024**3


def findings(lists: ClusterLists) -> Iterator[Finding]:
    """Yield one finding for each owner of pods whose checkpoint is larger than a limit."""
    by_owner: dict[str, list[tuple[TrainingPod, Shortage]]] = defaultdict(list)
    for trainer in lists.trainers:
        of_node = [each for each in trainer.shortages if not each.claim_name]
        if of_node:
            smallest = min(of_node, key=lambda each: each.has_bytes)
            by_owner[owner_of(trainer)].append((trainer, smallest))
    for owner, hit in sorted(by_owner.items()):
        yield _finding(owner, hit)


def _finding(owner: str, hit: Sequence[tuple[TrainingPod, Shortage]]) -> Finding:
    trainer, shortage = max(hit, key=lambda each: each[1].needed_bytes - each[1].has_bytes)
    wanted = f"{ceil(shortage.needed_bytes / _GIB)}Gi"
    get = f"kubectl get pod {trainer.name} -n {trainer.namespace} -o jsonpath="
    paths = "{.spec.volumes[*].emptyDir} {.spec.containers[*].resources.limits}"
    return Finding(
        check=ID,
        severity=Severity.ERROR,
        subject=owner,
        sentence=f"{owner}: {shortage}.",
        cure=Cure(
            f"{get}'{paths}'",
            note=f"It shows the limits. In the pod template of {owner} raise {shortage.limit} to {wanted}, or better mount a "
            "claim for the checkpoints: what is on the node is gone with the pod.",
            restarts="A pod template counts from the next pod on. It restarts nothing by itself.",
        ),
        evidence=(Evidence(f"{get}'{paths}'", shortage.limit, str(int(shortage.has_bytes))),),
        pods=tuple(sorted(each.full_name for each, _ in hit)),
    )
