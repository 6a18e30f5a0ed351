"""Whether the place that a checkpoint goes to has room for it. The old checkpoint stays until the new one is written.

Room is what a claim has, or what the kubelet lets a pod write to its node: an emptyDir's `sizeLimit`, the containers' limits
of ephemeral-storage. Beyond a claim's capacity a save ends with `no space left on device`. Beyond a limit of the node the
kubelet evicts the pod in about 2 s, in the middle of the write (kubernetes v1.37.2, eviction_manager.go). What other data takes
of the room is not known. A size that was only estimated is an upper bound, so it is not compared.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from webhook.policy import quantity
from webhook.policy.checkpoint.writers import Share
from webhook.policy.facts import Facts
from webhook.policy.pod import Pod
from webhook.policy.pod.metadata import JsonObject, metadata_of
from webhook.policy.statements.statements import Statements
from webhook.policy.storage.claim import Claim, claims_behind
from webhook.policy.storage.destination import Destination, destination_of

_EPHEMERAL, _MEMORY = "ephemeral-storage", "memory"
_WITHOUT_CAPACITY = (
    "efs.csi.aws.com",
    "s3.csi.aws.com",
    "gcsfuse.csi.storage.gke.io",
    "blob.csi.azure.com",
    "nfs.csi.k8s.io",
    "smb.csi.k8s.io",
    "kubernetes.io/nfs",
    "kubernetes.io/host-path",
)
"""Drivers that do not hold a volume to the capacity of its claim."""
_KEPT = re.compile(
    r"(?<!\S)--?(?:save[-_]total[-_]limit|keep[-_]last(?:[-_]n)?(?:[-_]checkpoints)?|save[-_]top[-_]k)[=\s]+(\d{1,6})\b"
)


@dataclass(frozen=True, slots=True)
class Shortage:
    """A place that is too small. Example: claim ckpt has 100 GiB, 2 checkpoints need 120 GiB."""

    place: str
    limit: str
    """What bounds it: its capacity, its sizeLimit, limits of ephemeral-storage."""
    has_bytes: float
    checkpoint_bytes: float
    checkpoints: int
    """Those that are kept, and the one that is written."""
    claim_name: str = ""
    """Empty where it is no claim."""

    @property
    def needed_bytes(self) -> float:
        """Return what all of these checkpoints take."""
        return self.checkpoint_bytes * self.checkpoints

    def __str__(self) -> str:
        """Return the shortage as a decision tells it."""
        has, needed = map(quantity.human_bytes, (self.has_bytes, self.needed_bytes))
        end = "the last save fails (no space left)" if self.claim_name else "evicted in 2 s, mid-write"
        return f"{self.place} has {has} ({self.limit}), {self.checkpoints} checkpoints need {needed}: {end}"


def shortages(pod: Pod, facts: Facts, statements: Statements, share: Share) -> tuple[Shortage, ...]:
    """Return the places that are too small for this pod's checkpoint, and for those that it keeps."""
    if share.estimated or pod.osmo_task is not None:
        return ()
    destination = destination_of(pod, statements)
    checkpoints = kept_checkpoints(pod) + 1
    rooms = (
        _rooms_of_claim(pod, facts, destination, share)
        if destination.volume_names
        else _rooms_of_node(pod, destination, share.own_bytes)
    )
    all_rooms = (
        Shortage(room.place, room.limit, room.has_bytes, room.checkpoint_bytes, checkpoints, room.claim_name)
        for room in rooms
    )
    return tuple(each for each in all_rooms if each.has_bytes < each.needed_bytes)


def kept_checkpoints(pod: Pod) -> int:
    """Return how many checkpoints the trainer keeps, by its arguments; 1 where it names no number."""
    matches = [int(match[1]) for match in _KEPT.finditer(" ".join(pod.trainer.first_words))]
    return max([1, *matches])


def _rooms_of_claim(pod: Pod, facts: Facts, destination: Destination, share: Share) -> Iterator[Shortage]:
    """Yield the room of the claim; nothing where the checkpoint may go to several.

    All pods of the job write to a claim that many can mount. Any other one is this pod's alone.
    """
    claims = claims_behind(pod, destination.volume_names, facts)
    if len(claims) != 1 or claims[0] is None or claims[0].inline is not None:
        return
    claim = claims[0]
    has = _capacity_of(claim)
    if has is None or claim.provisioner in _WITHOUT_CAPACITY:
        return
    size_bytes = share.checkpoint.value if claim.shared else share.own_bytes
    name = str(metadata_of(claim.manifest).get("name") or f"of volume {destination.volume_names[0]}")
    yield Shortage(f"claim {name}", has[1], has[0], size_bytes, 0, claim_name=name)


def _capacity_of(claim: Claim) -> tuple[float, str] | None:
    """Return the capacity of the volume, else of the claim, else what the claim asks for, and which of them it is."""
    spec = (claim.persistent_volume or {}).get("spec") or {}
    status = claim.manifest.get("status") or {}
    requests = ((claim.manifest.get("spec") or {}).get("resources") or {}).get("requests") or {}
    capacities = (
        (spec.get("capacity"), "its capacity"),
        (status.get("capacity"), "its capacity"),
        (requests, "what it asks for"),
    )
    amounts = ((_bytes_of(holder, "storage"), which) for holder, which in capacities)
    return next(((amount, which) for amount, which in amounts if amount is not None), None)


def _rooms_of_node(pod: Pod, destination: Destination, size_bytes: float) -> Iterator[Shortage]:
    """Yield what bounds an emptyDir or the root file system."""
    if not destination.ends_with_the_pod:
        return
    volume = next((each for each in pod.volumes if each.name == destination.empty_dir), None)
    place = destination.ends_with_the_pod
    if volume is not None and volume.size_limit is not None:
        limit_bytes = quantity.kubernetes_quantity(volume.size_limit)
        if limit_bytes is not None:
            yield Shortage(place, "its sizeLimit", float(limit_bytes), size_bytes, 0)
    if volume is not None and volume.is_in_memory:
        memory_bytes = _bytes_of(pod.trainer.limits, _MEMORY)
        if memory_bytes is not None:
            yield Shortage(place, "memory limit of the trainer", memory_bytes, size_bytes, 0)
        return
    of_containers = [_bytes_of(container.limits, _EPHEMERAL) for container in pod.running_containers]
    known = [each for each in of_containers if each is not None]
    if known:
        yield Shortage(place, "the pod's limits of ephemeral-storage", sum(known), size_bytes, 0)
    of_trainer = _bytes_of(pod.trainer.limits, _EPHEMERAL)
    if volume is None and of_trainer is not None:
        yield Shortage(place, "the trainer's limit of ephemeral-storage", of_trainer, size_bytes, 0)


def _bytes_of(amounts: JsonObject | None, name: str) -> float | None:
    text = (amounts or {}).get(name)
    amount = None if text is None else quantity.kubernetes_quantity(text)
    return None if amount is None else float(amount)
