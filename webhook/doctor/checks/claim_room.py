"""GK306: a claim is too small for the checkpoints that are kept and the next one: the last save ends with no space left.

What other data takes of the claim is not known here: only the kubelet's statistics tell it, which need nodes/proxy.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import ceil

from webhook.doctor.finding import Cure, Evidence, Finding, Severity
from webhook.doctor.lists import ClusterLists
from webhook.doctor.trainers import TrainingPod
from webhook.policy.pod.metadata import JsonObject, annotations_of, metadata_of
from webhook.policy.storage.room import Shortage

ID = "GK306"
_GIB = 1024**3
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


def findings(lists: ClusterLists) -> Iterator[Finding]:
    """Yield one finding for each claim that is too small."""
    by_claim: dict[tuple[str, str], list[tuple[TrainingPod, Shortage]]] = defaultdict(list)
    for trainer in lists.trainers:
        for shortage in trainer.shortages:
            if shortage.claim_name:
                by_claim[trainer.namespace, shortage.claim_name].append((trainer, shortage))
    claims = {_key(claim): claim for claim in lists.of("PersistentVolumeClaim")}
    for key, hit in sorted(by_claim.items()):
        if key in claims:
            yield _finding(claims[key], lists.of("StorageClass"), hit)


def _key(claim: JsonObject) -> tuple[str, str]:
    metadata = metadata_of(claim)
    return metadata.get("namespace", ""), metadata.get("name", "")


def _finding(claim: JsonObject, classes: Sequence[JsonObject], hit: Sequence[tuple[TrainingPod, Shortage]]) -> Finding:
    namespace, name = _key(claim)
    shortage = max((each for _, each in hit), key=lambda each: each.needed_bytes)
    path = "{.status.capacity.storage}"
    return Finding(
        check=ID,
        severity=Severity.ERROR,
        subject=f"PersistentVolumeClaim {namespace}/{name}",
        sentence=f"In namespace {namespace} {shortage}.",
        cure=_cure(claim, classes, f"{ceil(shortage.needed_bytes / _GIB)}Gi"),
        evidence=(
            Evidence(
                f"kubectl get pvc {name} -n {namespace} -o jsonpath='{path}'",
                path,
                str(_capacity(claim) or "(not bound)"),
            ),
        ),
        pods=tuple(sorted(each.full_name for each, _ in hit)),
    )


def _capacity(claim: JsonObject) -> object:
    return ((claim.get("status") or {}).get("capacity") or {}).get("storage")


def _cure(claim: JsonObject, classes: Sequence[JsonObject], wanted: str) -> Cure:
    namespace, name = _key(claim)
    fewer = "Or keep fewer checkpoints (`--save_total_limit`), or delete an old one before the new one is written."
    if _may_grow(claim, classes):
        patch = json.dumps({"spec": {"resources": {"requests": {"storage": wanted}}}})
        return Cure(
            f"kubectl patch pvc {name} -n {namespace} --type merge -p '{patch}'",
            note=f"{fewer} A claim never shrinks again.",
            restarts="It restarts nothing where the driver grows a volume that is in use; else the file system grows with the "
            "next pod that mounts it.",
        )
    return Cure(
        f"kubectl get pvc {name} -n {namespace} -o yaml",
        note=f"No StorageClass that is known lets it grow. Make a new claim of {wanted} from this manifest, and name that in the "
        f"workload. {fewer}",
        restarts="A new claim counts for the next pod.",
    )


def _may_grow(claim: JsonObject, classes: Sequence[JsonObject]) -> bool:
    name = (claim.get("spec") or {}).get("storageClassName")
    by_name: Mapping[str, JsonObject] = {metadata_of(each).get("name", ""): each for each in classes}
    defaults = (each for each in classes if annotations_of(each).get(_DEFAULT_CLASS) == "true")
    storage_class = next(defaults, None) if name is None else by_name.get(name)
    return (storage_class or {}).get("allowVolumeExpansion") is True
