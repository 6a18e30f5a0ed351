"""Where supervise cannot run: names that are taken, nodes for which it is not built."""

from collections.abc import Iterator

from webhook.policy import pod as pods
from webhook.policy.config import Supervise
from webhook.policy.facts import Facts, JsonObject
from webhook.policy.supervise.parts import FOLDER, INIT, VOLUME

GATE = "gracekeeper-gate"
_ADDED = (INIT, GATE)
_ARCHITECTURE_LABELS = ("kubernetes.io/arch", "beta.kubernetes.io/arch")
_SYSTEM_LABELS = ("kubernetes.io/os", "beta.kubernetes.io/os")


def obstacles(pod: JsonObject, facts: Facts, supervise: Supervise) -> Iterator[str]:
    """Reasons for which this pod cannot run supervise at all."""
    if supervise.image is None:
        yield "no image of supervise is configured"
    yield from _foreign_nodes(pod, facts, supervise)
    spec = pod.get("spec") or {}
    everyone = (*pods.containers(pod), *pods.init_containers(pod))
    if any(volume.get("name") == VOLUME for volume in spec.get("volumes") or ()):
        yield f"the pod has a volume {VOLUME} of its own"
    for container in everyone:
        if container.get("name") in _ADDED:
            yield f"the pod has a container {container['name']} of its own"
        for mount in container.get("volumeMounts") or ():
            if f"{mount.get('mountPath', '')}/".startswith(f"{FOLDER}/"):
                yield f"container {container.get('name')} mounts {mount['mountPath']} itself"


def _foreign_nodes(pod: JsonObject, facts: Facts, supervise: Supervise) -> Iterator[str]:
    spec = pod.get("spec") or {}
    system = (spec.get("os") or {}).get("name") or next(iter(_asked(spec, _SYSTEM_LABELS) or ()), "linux")
    if system != "linux":
        yield f"supervise is not built for {system}"
    asked = _asked(spec, _ARCHITECTURE_LABELS)
    foreign = sorted((facts.sidecars.architectures if asked is None else asked) - set(supervise.architectures))
    if foreign:
        where = "the pod may land on" if asked is None else "the pod asks for"
        yield f"{where} {', '.join(foreign)}, supervise is built for {', '.join(supervise.architectures)}"


def _asked(spec: JsonObject, label_names: tuple[str, ...]) -> frozenset[str] | None:
    """The values of a node label that the pod is bound to by selector or required affinity; None where it is not."""
    selector = spec.get("nodeSelector") or {}
    for name in label_names:
        if name in selector:
            return frozenset({selector[name]})
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    terms = (affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms") or ()
    found = [_values_in(term, label_names) for term in terms]
    return frozenset().union(*found) if found and all(found) else None


def _values_in(term: JsonObject, label_names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(
        value
        for expression in term.get("matchExpressions") or ()
        if expression.get("key") in label_names and expression.get("operator") == "In"
        for value in expression.get("values") or ()
    )
