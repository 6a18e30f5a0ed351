"""Where supervise cannot run: names that are taken, nodes for which it is not built."""

from collections.abc import Iterator

from webhook.policy import pod as pods
from webhook.policy.config import Supervise
from webhook.policy.facts import Facts, JsonObject
from webhook.policy.placement import asked
from webhook.policy.supervise.parts import FOLDER, GATE, INIT, VOLUME

_ADDED = (INIT, GATE)
_ARCHITECTURE_LABELS = ("kubernetes.io/arch", "beta.kubernetes.io/arch")
_SYSTEM_LABELS = ("kubernetes.io/os", "beta.kubernetes.io/os")


def obstacles(pod: JsonObject, facts: Facts, supervise: Supervise) -> Iterator[str]:
    """Reasons for which this pod cannot run supervise at all."""
    if supervise.image is None:
        yield "no image of supervise is configured"
    yield from _foreign_nodes(pod, facts, supervise)
    spec = pod.get("spec") or {}
    if any(volume.get("name") == VOLUME for volume in spec.get("volumes") or ()):
        yield f"the pod has a volume {VOLUME} of its own"
    for container in pods.everyone(pod):
        if container.get("name") in _ADDED:
            yield f"the pod has a container {container['name']} of its own"
        for mount in container.get("volumeMounts") or ():
            if f"{mount.get('mountPath', '')}/".startswith(f"{FOLDER}/"):
                yield f"container {container.get('name')} mounts {mount['mountPath']} itself"


def _foreign_nodes(pod: JsonObject, facts: Facts, supervise: Supervise) -> Iterator[str]:
    spec = pod.get("spec") or {}
    system = (spec.get("os") or {}).get("name") or next(iter(asked(spec, *_SYSTEM_LABELS) or ()), "linux")
    if system != "linux":
        yield f"supervise is not built for {system}"
    wanted = asked(spec, *_ARCHITECTURE_LABELS)
    foreign = sorted((facts.sidecars.architectures if wanted is None else wanted) - set(supervise.architectures))
    if foreign:
        where = "the pod may land on" if wanted is None else "the pod asks for"
        yield f"{where} {', '.join(foreign)}, supervise is built for {', '.join(supervise.architectures)}"
