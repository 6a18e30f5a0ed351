"""Who writes the checkpoint: how much of it is this pod's, and with how many others it shares the volume.

Law: a pod's own bytes are divided only where `checkpoint-writers` says that the checkpoint is sharded. Nothing else on a
pod tells: torchrun's PET_NNODES is the same for FSDP, where all pods write, and for DDP, where rank 0 writes everything; and
in checkpoint_sizes.csv the first pod of Llama 3 405B with ZeRO stage 1 writes 826 GiB, ten times an even share. A wrong
division shortens the grace and loses a checkpoint; none lengthens it, up to the maximum.

A stated size is the whole job's, so a shared volume needs no division: all bytes at the whole speed take as long as one
share at one share of the speed. Bytes that were estimated are this pod's own, and the others write as many at the same
time: there the throughput of a shared volume is divided by the framework's number of pods.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from webhook.policy import accelerators, keys, quantity
from webhook.policy import pod as pods
from webhook.policy.facts import JsonObject
from webhook.policy.size import Amount

_MOST_PODS = 1_000_000
_GROUP_SIZE_ANNOTATION = "leaderworkerset.sigs.k8s.io/size"
_REPLICAS = "jobset.sigs.k8s.io/replicatedjob-replicas"
_COUNTS_PODS = ("volcano.sh/job-name", "training.kubeflow.org/job-name")
"""Labels of controllers whose WORLD_SIZE is a number of pods: Volcano's pytorch plugin, Kubeflow's without PET_NNODES."""


@dataclass(frozen=True, slots=True)
class JobPods:
    """How many pods a job has: two numbers where it is elastic, or where what was written may mean either."""

    fewest: int
    most: int
    source: str


@dataclass(frozen=True, slots=True)
class Share:
    """The bytes that this pod writes of a checkpoint."""

    checkpoint: Amount
    own_bytes: float
    divided_by: Amount | None = None
    """The pods among which the checkpoint is divided; None: it is not."""
    together: Amount | None = None
    """The pods that write at the same time, by which a shared volume's throughput is divided; None: nothing is."""
    estimated: bool = False
    """An upper bound: to be cut by the maximum is not worth a warning."""
    notes: tuple[str, ...] = ()


def share_of_job(pod: JsonObject, said: keys.Statements, checkpoint: Amount) -> Share:
    """The pod's share of a checkpoint whose size is known for the whole job."""
    writers = said.get(keys.CHECKPOINT_WRITERS)
    if writers is None:
        return Share(checkpoint, checkpoint.value)
    if writers.value != keys.ALL_PODS:
        count = Amount(writers.value, writers.source)
        return Share(checkpoint, checkpoint.value / count.value, count, count)
    found = pods_of_job(pod)
    if found is None or found.fewest < min(2, found.most):
        note = "checkpoint-writers=all, but nothing on the pod tells how many pods there are: not divided"
        return Share(checkpoint, checkpoint.value, notes=(note,))
    fewest = Amount(found.fewest, f"{writers.source}: {found.source}")
    return Share(checkpoint, checkpoint.value / fewest.value, fewest, fewest)


def own_share(pod: JsonObject, said: keys.Statements, estimate: Amount) -> Share:
    """The share of a pod whose own bytes were estimated: all of them, beside the other pods of its job."""
    writers = said.get(keys.CHECKPOINT_WRITERS)
    if writers is not None and writers.value != keys.ALL_PODS:
        together: Amount | None = Amount(writers.value, writers.source)
    else:
        found = pods_of_job(pod)
        together = None if found is None else Amount(found.most, found.source)
    return Share(estimate, estimate.value, together=together, estimated=True)


def pods_of_job(pod: JsonObject) -> JobPods | None:
    """The number of pods that the framework or the controller wrote into the pod; None where there is none.

    An Indexed Job's completions are not on its pods.
    """
    return next(_numbers(pod), None)


def _numbers(pod: JsonObject) -> Iterator[JobPods]:
    containers = pods.containers(pod)
    if containers:
        trainer = containers[pods.trainer_index(pod)]
        variables = {entry.get("name", ""): entry.get("value") or "" for entry in trainer.get("env") or ()}
        yield from _of_torchrun(variables)
        yield from _of_world_size(pod, trainer, variables)
    annotations, labels = pods.annotations(pod), pods.labels(pod)
    size = _count(annotations.get(_GROUP_SIZE_ANNOTATION))
    if size:
        yield JobPods(size, size, "size of the LeaderWorkerSet's group")
    replicas = _count(labels.get(_REPLICAS) or annotations.get(_REPLICAS))
    if replicas:  # of Jobs, each of one pod or more
        yield JobPods(replicas, replicas, "replicas of the JobSet's replicated job")


def _of_torchrun(variables: Mapping[str, str]) -> Iterator[JobPods]:
    """PET_NNODES: a number, or MIN:MAX for an elastic job (torchrun --nnodes)."""
    fewest, _, most = variables.get("PET_NNODES", "").partition(":")
    if _count(fewest) and _count(most or fewest):
        yield JobPods(_count(fewest), _count(most or fewest), "PET_NNODES")


def _of_world_size(pod: JsonObject, trainer: JsonObject, variables: Mapping[str, str]) -> Iterator[JobPods]:
    """WORLD_SIZE counts processes, one for each accelerator where nothing else is said; some controllers count pods.

    Where neither fits it may be all of one pod's processes or as many pods.
    """
    world = _count(variables.get("WORLD_SIZE"))
    if not world:
        return
    local = next(filter(None, (_count(variables.get(n)) for n in ("LOCAL_WORLD_SIZE", "PET_NPROC_PER_NODE"))), 0)
    local = local or sum(accelerators.requested(trainer).values())
    if any(label in pods.labels(pod) for label in _COUNTS_PODS):
        yield JobPods(world, world, "WORLD_SIZE")
    elif local and world % local == 0:
        yield JobPods(world // local, world // local, f"WORLD_SIZE / {local} of each pod")
    else:
        yield JobPods(1, world, "WORLD_SIZE")


def _count(text: object) -> int:
    """A number of pods or processes; 0 for what is none."""
    try:
        return quantity.whole_number(str(text), 1, _MOST_PODS)
    except quantity.UnreadableError:
        return 0
