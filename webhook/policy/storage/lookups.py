"""Which facts around a pod its checkpoint can depend on: the claims it may go to, its Indexed Job, and the nodes' GPUs.

Law: do not read a fact that cannot change the decision, and do not report it as missing.
"""

from webhook.policy.checkpoint import estimate, writers
from webhook.policy.configuration import UnknownSize
from webhook.policy.facts import Facts, Lookups
from webhook.policy.pod import Pod
from webhook.policy.pod.accelerators import NVIDIA_GPU
from webhook.policy.statements import keys
from webhook.policy.statements.statements import Statements
from webhook.policy.storage.destination import destination_of


def lookups_for(pod: Pod, statements: Statements, unknown_size: UnknownSize) -> Lookups:
    """Return what to look up for a training pod."""
    estimated = _is_estimated(pod, statements, unknown_size)
    stated = statements.get(keys.CHECKPOINT_WRITERS)
    by_all = stated is not None and stated.value == keys.ALL_PODS
    divided = by_all and _counts_with_size(pod, statements)
    job_counts = divided or (estimated and (by_all or stated is None))
    job = writers.job_to_look_up(pod) if job_counts else None
    claim_names = _claim_names(pod, statements) if estimated or _counts_with_size(pod, statements) else ()
    return Lookups(claim_names, job, nodes=estimated and _only_nodes_know(pod))


def _claim_names(pod: Pod, statements: Statements) -> tuple[str, ...]:
    """Return the claims of the volumes that the checkpoint may go to, unless the pod itself states the throughput.

    The claim of a generic ephemeral volume does not exist before its pod; the pod has its template.
    """
    if statements.of_pod(keys.WRITE_THROUGHPUT) is not None:
        return ()
    volume_names = set(destination_of(pod, statements).volume_names)
    claimed = (volume for volume in pod.volumes if volume.name in volume_names and volume.claim_template is None)
    return tuple(dict.fromkeys(volume.claim_name for volume in claimed if volume.claim_name))


def _counts_with_size(pod: Pod, statements: Statements) -> bool:
    """Return whether the size of the whole job's checkpoint is known and counts.

    Beside a stated grace it counts for the split of an OSMO task only.
    """
    return _is_sized(statements) and (statements.get(keys.GRACE_SECONDS) is None or pod.osmo_task is not None)


def _is_estimated(pod: Pod, statements: Statements, unknown_size: UnknownSize) -> bool:
    return (
        unknown_size is UnknownSize.ESTIMATE
        and not _is_sized(statements)
        and statements.get(keys.GRACE_SECONDS) is None
        and any(container.accelerators for container in pod.containers)
    )


def _is_sized(statements: Statements) -> bool:
    return statements.get(keys.CHECKPOINT_SIZE) is not None or statements.get(keys.MODEL_PARAMETERS) is not None


def _only_nodes_know(pod: Pod) -> bool:
    has_nvidia_gpu = any(NVIDIA_GPU in container.accelerators for container in pod.containers)
    return has_nvidia_gpu and estimate.most_bytes(pod, Facts()) is None
