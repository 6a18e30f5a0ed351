"""Which facts beside those of its volumes a pod's decision can depend on: its Indexed Job's number, and the nodes' GPUs.

Law: what cannot count is not asked for, and not missed.
"""

from dataclasses import dataclass

from webhook.policy import accelerators, estimate, keys, writers
from webhook.policy import pod as pods
from webhook.policy.config import UnknownSize
from webhook.policy.facts import Facts, JsonObject

_OF_NVIDIA = "nvidia.com/gpu"


@dataclass(frozen=True, slots=True)
class Lookups:
    """What is to be looked up; nothing as it stands."""

    job: str | None = None
    """Name of the Indexed Job whose number of pods may count."""
    nodes: bool = False
    """Whether nothing but the nodes tells how much memory the pod's GPUs have."""


def lookups(pod: JsonObject, said: keys.Statements, unknown_size: UnknownSize) -> Lookups:
    """The lookups for a pod of which so much was said."""
    estimated = _is_estimated(pod, said, unknown_size)
    stated = said.get(keys.CHECKPOINT_WRITERS)
    by_all = stated is not None and stated.value == keys.ALL_PODS
    divided = by_all and _is_divided(pod, said)
    counts = divided or (estimated and (by_all or stated is None))
    return Lookups(writers.job_to_ask(pod) if counts else None, estimated and _only_nodes_tell(pod))


def _is_divided(pod: JsonObject, said: keys.Statements) -> bool:
    """Whether the size of the whole job's checkpoint is known and counts: a stated grace needs it only for OSMO's split."""
    return _is_sized(said) and (said.get(keys.GRACE_SECONDS) is None or pods.is_osmo_task(pod))


def _is_estimated(pod: JsonObject, said: keys.Statements, unknown_size: UnknownSize) -> bool:
    return (
        unknown_size is UnknownSize.ESTIMATE
        and not _is_sized(said)
        and said.get(keys.GRACE_SECONDS) is None
        and any(map(accelerators.requested, pods.containers(pod)))
    )


def _is_sized(said: keys.Statements) -> bool:
    return said.get(keys.CHECKPOINT_SIZE) is not None or said.get(keys.MODEL_PARAMETERS) is not None


def _only_nodes_tell(pod: JsonObject) -> bool:
    of_nvidia = any(_OF_NVIDIA in accelerators.requested(container) for container in pods.containers(pod))
    return of_nvidia and estimate.most_bytes(pod, Facts()) is None
