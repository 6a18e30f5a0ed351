"""How fast this pod's checkpoint is written: the volume's throughput, who else writes to it, and what the node can take.

The first that states it: the pod, the volume's objects, Namespace and profile, the configured default.
"""

from dataclasses import dataclass

from webhook.policy import quantity
from webhook.policy.checkpoint.writers import Share
from webhook.policy.configuration import Config
from webhook.policy.facts import Facts
from webhook.policy.pod import Pod
from webhook.policy.statements import keys
from webhook.policy.statements.statements import Ignored, Statements
from webhook.policy.storage.claim import Claim, claims_behind
from webhook.policy.storage.destination import Destination, destination_of
from webhook.policy.storage.room import shortages
from webhook.policy.storage.throughput import Throughput, fallback_for, throughput_of

_MOST_NAMES = 3
_INSTANCE_TYPE_LABELS = ("node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type")


@dataclass(frozen=True, slots=True)
class Target:
    """The throughput for this pod, and what the decision should tell about the destination."""

    throughput: Throughput
    ignored: tuple[Ignored, ...] = ()
    notes: tuple[str, ...] = ()


def target_of(pod: Pod, facts: Facts, statements: Statements, config: Config, share: Share) -> Target:
    """Return the write throughput for this pod's share of the checkpoint. Of several volumes the slowest counts.

    A shared (ReadWriteMany) volume's throughput is divided by the pods that write together. The node's own limit holds,
    unless the pod itself states the throughput.
    """
    destination = destination_of(pod, statements)
    lost = (*_losses(pod, destination, statements), *map(str, shortages(pod, facts, statements, share)))
    of_pod = statements.of_pod(keys.WRITE_THROUGHPUT)
    if of_pod is not None:
        return Target(Throughput(of_pod.value, of_pod.origin), notes=(*share.notes, *lost))
    fallback, node = _fallback(statements, config), node_limit(pod, config)
    claims = claims_behind(pod, destination.volume_names, facts)
    stated = [(claim, *throughput_of(claim)) for claim in claims if claim is not None]
    throughputs = [
        _within(
            _per_writer(claim, throughput or fallback_for(claim, fallback), share), node, of_volume=bool(throughput)
        )
        for claim, throughput, _ in stated
    ]
    if None in claims or not throughputs:
        throughputs.append(_within(fallback, node, of_volume=False))
    slowest = min(throughputs, key=lambda throughput: throughput.bytes_per_second)
    source = f"{slowest.source}, {destination.why}" if destination.why else slowest.source
    return Target(
        Throughput(slowest.bytes_per_second, source),
        tuple(each for _, _, ignored in stated for each in ignored),
        (*share.notes, *destination.notes, *lost),
    )


def notes_on_losses(pod: Pod, statements: Statements) -> tuple[str, ...]:
    """Return what the checkpoint's destination says about its loss where nobody states a size.

    Of a pod that is known to do other work than training nothing is said.
    """
    return () if pod.other_work else _losses(pod, destination_of(pod, statements), statements)


def node_limit(pod: Pod, config: Config) -> Throughput | None:
    """Return what the node takes at most, by `nodeThroughput`; None where no node that the pod asks for is configured.

    Of several instance types, and of several labels, the smallest counts.
    """
    limits = []
    values_of: dict[tuple[str, ...], frozenset[str]] = {}
    for name, bytes_per_second in config.node_throughput.items():
        label, equals, value = name.partition("=")
        labels = (label,) if equals else _INSTANCE_TYPE_LABELS
        if labels not in values_of:
            values_of[labels] = pod.placement.values_of(*labels) or frozenset()
        if (value if equals else name) in values_of[labels]:
            limits.append(Throughput(bytes_per_second, f"nodeThroughput of {name}"))
    return min(limits, key=lambda throughput: throughput.bytes_per_second, default=None)


def _fallback(statements: Statements, config: Config) -> Throughput:
    stated = statements.get(keys.WRITE_THROUGHPUT)
    if stated is None:
        return Throughput(config.defaults.write_bytes_per_second, "default")
    return Throughput(stated.value, stated.origin)


def _per_writer(claim: Claim, throughput: Throughput, share: Share) -> Throughput:
    if share.together is None or not claim.shared:
        return throughput
    count = int(share.together.value)
    return Throughput(throughput.bytes_per_second / count, f"{throughput.source}, shared by {count} writers")


def _within(throughput: Throughput, node: Throughput | None, *, of_volume: bool) -> Throughput:
    """Return the smaller of the two. A node may take less than a volume promises, and no object states its EBS or network limit."""
    if node is None:
        doubt = ", node limit not known" if of_volume else ""
        return Throughput(throughput.bytes_per_second, f"{throughput.source}{doubt}")
    if throughput.bytes_per_second <= node.bytes_per_second:
        return throughput
    beside = f"{quantity.human_bytes(throughput.bytes_per_second)}/s"
    return Throughput(node.bytes_per_second, f"{node.source}, below the {beside} of {throughput.source}")


def _losses(pod: Pod, destination: Destination, statements: Statements) -> tuple[str, ...]:
    """Return a note where the checkpoint ends with the pod or stays on its node, unless something is known to upload it."""
    is_stated = any(statements.get(key) is not None for key in (keys.UPLOAD_SIZE, keys.UPLOAD_CONTAINER))
    if is_stated or pod.osmo_task is not None:
        return ()
    if destination.on_one_node:
        return (
            f"volume {destination.on_one_node} is a hostPath: a pod on another node finds the checkpoint only if nodes share it",
        )
    if not destination.ends_with_the_pod:
        return ()
    if destination.shared_with:
        uploads = f"container {_joined_by_or(destination.shared_with)} uploads the checkpoint"
        return (f"set upload-size if {uploads}: {destination.ends_with_the_pod} ends with the pod",)
    return (f"the checkpoint ends with the pod: it goes to {destination.ends_with_the_pod}",)


def _joined_by_or(names: tuple[str, ...]) -> str:
    more = len(names) - _MOST_NAMES
    return " or ".join((*names[:_MOST_NAMES], *([f"one of {more} more"] if more > 0 else [])))
