"""How fast this pod's checkpoint is written: the volume's throughput, who else writes to it, and what the node can take.

The first that answers: the pod, then the volume's objects, then Namespace and profile, then the configured default.
"""

from dataclasses import dataclass

from webhook.policy import keys, placement, quantity, volumes
from webhook.policy import pod as pods
from webhook.policy.config import Config
from webhook.policy.facts import Facts, JsonObject, claims_by_volume
from webhook.policy.throughput import Throughput, Volume, instead, of_volume
from webhook.policy.writers import Share

_MOST_NAMES = 3
_MOST_CLAIMS = 256
"""Claims that are looked at: no node takes as many volumes."""
_INSTANCE_TYPE_LABELS = ("node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type")


@dataclass(frozen=True, slots=True)
class Target:
    """Where the checkpoint goes: the speed for this pod, and what should be said about the choice."""

    throughput: Throughput
    ignored: tuple[keys.Ignored, ...] = ()
    notes: tuple[str, ...] = ()


def target(pod: JsonObject, facts: Facts, said: keys.Statements, config: Config, share: Share) -> Target:
    """The write throughput for this pod's share of the checkpoint; of several volumes the slowest counts.

    A shared (ReadWriteMany) volume's throughput is divided by the pods that write together, and the node's own limit
    holds, whoever said the throughput except the pod itself.
    """
    to = volumes.destination(pod, said)
    lost = _lost_with_the_pod(pod, to, said)
    of_pod = said.of_pod(keys.WRITE_THROUGHPUT)
    if of_pod is not None:
        return Target(Throughput(of_pod.value, of_pod.source), notes=(*share.notes, *lost))
    fallback, node = _fallback(said, config), node_limit(pod, config)
    candidates = _known(pod, to.claims, facts)
    answers = [(volume, *of_volume(volume)) for volume in candidates if volume is not None]
    speeds = [
        _within(_per_writer(v, found or instead(v, fallback), share), node, of_volume=bool(found))
        for v, found, _ in answers
    ]
    if None in candidates or not speeds:
        speeds.append(_within(fallback, node, of_volume=False))
    slowest = min(speeds, key=lambda throughput: throughput.bytes_per_second)
    return Target(
        Throughput(slowest.bytes_per_second, f"{slowest.source}, {to.why}") if to.why else slowest,
        tuple(passed for _, _, passed_over in answers for passed in passed_over),
        (*share.notes, *to.notes, *lost),
    )


def node_limit(pod: JsonObject, config: Config) -> Throughput | None:
    """What the node takes at most, by `nodeThroughput`; None where the pod asks for no node of which it is configured.

    Of several instance types, and of several labels, the smallest counts.
    """
    spec = pod.get("spec") or {}
    found = []
    asked: dict[tuple[str, ...], frozenset[str]] = {}
    for name, bytes_per_second in config.node_throughput.items():
        label, equals, value = name.partition("=")
        labels = (label,) if equals else _INSTANCE_TYPE_LABELS
        if labels not in asked:
            asked[labels] = placement.asked(spec, *labels) or frozenset()
        if (value if equals else name) in asked[labels]:
            found.append(Throughput(bytes_per_second, f"nodeThroughput of {name}"))
    return min(found, key=lambda throughput: throughput.bytes_per_second, default=None)


def _fallback(said: keys.Statements, config: Config) -> Throughput:
    stated = said.get(keys.WRITE_THROUGHPUT)
    if stated is None:
        return Throughput(config.defaults.write_bytes_per_second, "default")
    return Throughput(stated.value, stated.source)


def _per_writer(volume: Volume, throughput: Throughput, share: Share) -> Throughput:
    if share.together is None or not volume.shared:
        return throughput
    count = int(share.together.value)
    return Throughput(throughput.bytes_per_second / count, f"{throughput.source}, shared by {count} writers")


def _within(throughput: Throughput, node: Throughput | None, *, of_volume: bool) -> Throughput:
    """The smaller of the two. A volume promises what its node may not take: EBS and network limits are in no object."""
    if node is None:
        doubt = ", node limit not known" if of_volume else ""
        return Throughput(throughput.bytes_per_second, f"{throughput.source}{doubt}")
    if throughput.bytes_per_second <= node.bytes_per_second:
        return throughput
    beside = f"{quantity.human_bytes(throughput.bytes_per_second)}/s"
    return Throughput(node.bytes_per_second, f"{node.source}, below the {beside} of {throughput.source}")


def _lost_with_the_pod(pod: JsonObject, to: volumes.Destination, said: keys.Statements) -> tuple[str, ...]:
    """A note where the checkpoint ends with the pod, unless something is known to upload it."""
    uploaded = said.get(keys.UPLOAD_SIZE) is not None or pods.is_osmo_task(pod)
    if uploaded or not to.ends_with_the_pod:
        return ()
    if to.shared_with:
        uploads = f"container {_or(to.shared_with)} uploads the checkpoint"
        return (f"set upload-size if {uploads}: {to.ends_with_the_pod} ends with the pod",)
    return (f"the checkpoint ends with the pod: it goes to {to.ends_with_the_pod}",)


def _or(names: tuple[str, ...]) -> str:
    more = len(names) - _MOST_NAMES
    return " or ".join((*names[:_MOST_NAMES], *([f"one of {more} more"] if more > 0 else [])))


def _known(pod: JsonObject, names: tuple[str, ...], facts: Facts) -> list[Volume | None]:
    """The claims behind these volumes of the pod; None for one that is not known, and for all beyond the most."""
    claims = dict(claims_by_volume(pod))
    volumes_of_pod = (pod.get("spec") or {}).get("volumes") or ()
    templates = {
        v["name"]: (v["ephemeral"].get("volumeClaimTemplate") or {}) for v in volumes_of_pod if v.get("ephemeral")
    }
    looked_at = names[:_MOST_CLAIMS]
    found = [facts.claims.get(claims.get(name, "")) or templates.get(name) for name in looked_at]
    default_class = _default_class(facts)
    known = [_volume(claim, default_class, facts) if claim else None for claim in found]
    return known if looked_at == names else [*known, None]


def _volume(claim: JsonObject, default_class: JsonObject | None, facts: Facts) -> Volume:
    spec = claim.get("spec") or {}
    bound = facts.persistent_volumes.get(spec.get("volumeName") or "")
    class_name = spec.get("storageClassName")
    storage_class = default_class if class_name is None else facts.storage_classes.get(class_name)
    return Volume(
        claim, bound, storage_class, facts.volume_attributes_classes.get(spec.get("volumeAttributesClassName") or "")
    )


def _default_class(facts: Facts) -> JsonObject | None:
    """The StorageClass that a claim without one gets."""
    is_default = "storageclass.kubernetes.io/is-default-class"
    return next((c for c in facts.storage_classes.values() if pods.annotations(c).get(is_default) == "true"), None)
