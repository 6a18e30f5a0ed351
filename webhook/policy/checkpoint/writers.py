"""Who writes the checkpoint: how much of it is this pod's, and with how many others it shares the volume.

Law: divide a pod's own bytes only where `checkpoint-writers` says that the checkpoint is sharded. Nothing else on a pod
shows it: torchrun's PET_NNODES is the same for FSDP, where all pods write, and for DDP, where rank 0 writes everything. In
checkpoint_sizes.csv the first pod of Llama 3 405B with ZeRO stage 1 writes 826 GiB, ten times an even share. Dividing by
mistake loses a checkpoint. Not dividing only makes the grace longer, up to the maximum.

A stated size is the whole job's, so a shared volume needs no division: all bytes at the whole speed take as long as one
share at one share of the speed. Estimated bytes are this pod's own, and the other pods write as many at the same time. For
an estimate, the throughput of a shared volume is divided by the framework's number of pods, or an Indexed Job's.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from webhook.policy import quantity
from webhook.policy.checkpoint.size import Amount
from webhook.policy.pod import Pod
from webhook.policy.pod.metadata import JsonObject
from webhook.policy.statements import keys
from webhook.policy.statements.statements import Statements

_MOST_PODS = 1_000_000
_GROUP_SIZE_ANNOTATION = "leaderworkerset.sigs.k8s.io/size"
INDEX_ANNOTATION = "batch.kubernetes.io/job-completion-index"
"""On every pod of an Indexed Job."""
INDEXED = "Indexed"
REPLICAS_LABEL = "jobset.sigs.k8s.io/replicatedjob-replicas"
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


def share_of_job(
    pod: Pod, statements: Statements, checkpoint: Amount, job: JsonObject | None, replicas: int = 0
) -> Share:
    """Return the pod's share of a checkpoint whose size is known for the whole job."""
    writers = statements.get(keys.CHECKPOINT_WRITERS)
    if writers is None:
        return Share(checkpoint, checkpoint.value)
    if writers.value != keys.ALL_PODS:
        count = Amount(writers.value, writers.origin)
        return Share(checkpoint, checkpoint.value / count.value, count, count)
    job_pods = pods_of_job(pod, job, replicas)
    if job_pods is None or job_pods.fewest < min(2, job_pods.most):
        note = "checkpoint-writers=all, but nothing tells how many pods there are: not divided"
        return Share(checkpoint, checkpoint.value, notes=(note,))
    fewest = Amount(job_pods.fewest, f"{writers.origin}: {job_pods.source}")
    return Share(checkpoint, checkpoint.value / fewest.value, fewest, fewest)


def own_share(pod: Pod, statements: Statements, estimate: Amount, job: JsonObject | None, replicas: int = 0) -> Share:
    """Return the share of a pod whose own bytes were estimated: all of them, beside the other pods of its job."""
    writers = statements.get(keys.CHECKPOINT_WRITERS)
    if writers is not None and writers.value != keys.ALL_PODS:
        together: Amount | None = Amount(writers.value, writers.origin)
    else:
        job_pods = pods_of_job(pod, job, replicas)
        together = None if job_pods is None else Amount(job_pods.most, job_pods.source)
    return Share(estimate, estimate.value, together=together, estimated=True)


def job_to_look_up(pod: Pod) -> str | None:
    """Return the name of the Indexed Job that knows the number of pods better than the pod; None where there is none."""
    return indexed_job(pod) if next(_of_framework(pod), None) is None else None


def indexed_job(pod: Pod) -> str | None:
    """Return the name of the Indexed Job that controls the pod; None where none does."""
    controller = pod.controller
    if controller is None or (controller.group, controller.kind) != ("batch", "Job"):
        return None
    is_indexed = INDEX_ANNOTATION in pod.annotations
    return controller.name if is_indexed and isinstance(controller.name, str) else None


def pods_of_job(pod: Pod, job: JsonObject | None, replicas: int = 0) -> JobPods | None:
    """Return the number of pods by what the framework wrote into the pod, else by its controller; None where nothing tells.

    `replicas` is the number that a file of the job lists by role; 0 where none is known.
    """
    return next(_numbers(pod, job, replicas), None)


def _numbers(pod: Pod, job: JsonObject | None, of_roles: int) -> Iterator[JobPods]:
    """Yield numbers, the surest first. A WORLD_SIZE that may count processes or pods comes after what counts pods for sure."""
    yield from _of_framework(pod)
    if of_roles:
        yield JobPods(of_roles, of_roles, "replicas in the file, which a cluster does not tell")
    annotations, labels = pod.annotations, pod.labels
    size = _count(annotations.get(_GROUP_SIZE_ANNOTATION))
    if size:
        yield JobPods(size, size, "size of the LeaderWorkerSet's group")
    replicas = _count(labels.get(REPLICAS_LABEL) or annotations.get(REPLICAS_LABEL))
    of_jobs, by_accelerators = _of_jobs(replicas, _at_once(job)), _by_accelerators(pod)
    if of_jobs and (by_accelerators is None or by_accelerators.fewest <= of_jobs.most):
        yield of_jobs  # otherwise other Jobs' pods train too, as a JobSet's workers beside its leader
    if by_accelerators:
        yield by_accelerators
    if replicas:  # each of one pod or more
        yield JobPods(replicas, replicas, "replicas of the JobSet's replicated job")
    world = _count(pod.trainer.environment.get("WORLD_SIZE"))
    if world:
        yield JobPods(1, world, "WORLD_SIZE")


def _of_jobs(replicas: int, pods_of_each: int) -> JobPods | None:
    """Return the pods of one Indexed Job, or of all Jobs of its JobSet; None where no Job is known."""
    if not pods_of_each:
        return None
    if not replicas:
        return JobPods(pods_of_each, pods_of_each, "pods of the Indexed Job")
    total = replicas * pods_of_each
    return JobPods(total, total, f"{replicas} Jobs of the JobSet's replicated job x {pods_of_each} pods of each")


def _at_once(job: JsonObject | None) -> int:
    """Return how many pods of an Indexed Job run at the same time; 0 where that is not known."""
    spec = (job or {}).get("spec") or {}
    if spec.get("completionMode") != INDEXED:
        return 0
    return min(_count(spec.get("completions")), _count(spec.get("parallelism", 1)))


def _of_framework(pod: Pod) -> Iterator[JobPods]:
    """Yield what torchrun's or a training operator's variables say beyond doubt.

    PET_NNODES is a number, or MIN:MAX for an elastic job (torchrun --nnodes). WORLD_SIZE counts processes where their number
    in a pod is stated; some controllers count pods.
    """
    variables = pod.trainer.environment
    fewest, _, most = variables.get("PET_NNODES", "").partition(":")
    if _count(fewest) and _count(most or fewest):
        yield JobPods(_count(fewest), _count(most or fewest), "PET_NNODES")
    world, local = _count(variables.get("WORLD_SIZE")), _processes_of_each(variables)
    if world and any(label in pod.labels for label in _COUNTS_PODS):
        yield JobPods(world, world, "WORLD_SIZE")
    elif world and local and world % local == 0:
        yield JobPods(world // local, world // local, f"WORLD_SIZE / {local} of each pod")


def _by_accelerators(pod: Pod) -> JobPods | None:
    """Return what a WORLD_SIZE may mean beside a pod's accelerators. Users write it for processes and for pods.

    Divide a stated size by the smaller number. For an estimate, divide the shared volume's throughput by the larger.
    """
    variables = pod.trainer.environment
    world, local = _count(variables.get("WORLD_SIZE")), sum(pod.trainer.accelerators.values())
    if not world or not local or world % local or _processes_of_each(variables):
        return None
    return JobPods(world // local, world, f"WORLD_SIZE / {local} accelerators of each pod, if it counts processes")


def _processes_of_each(variables: Mapping[str, Any]) -> int:
    """Return the processes that one pod runs, as its variables state it; 0 where they do not."""
    stated = (_count(variables.get(name)) for name in ("LOCAL_WORLD_SIZE", "PET_NPROC_PER_NODE"))
    return next(filter(None, stated), 0)


def _count(text: object) -> int:
    """Return a number of pods or processes; 0 for a text that is none."""
    try:
        return quantity.whole_number(str(text), 1, _MOST_PODS)
    except quantity.UnreadableError:
        return 0
