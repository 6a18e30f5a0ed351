"""Where supervise cannot run: names that are taken, nodes for which it is not built, bounds that its container breaks."""

from collections.abc import Iterator

from webhook.policy.configuration import Supervise
from webhook.policy.facts import Facts
from webhook.policy.pod import Pod
from webhook.policy.pod.marks import SUPERVISE_GATE, SUPERVISE_INIT, SUPERVISE_VOLUME, is_in_supervise_folder
from webhook.policy.pod.metadata import metadata_of
from webhook.policy.shutdown.requirements import amount, limit_items, requirements_of_added

_ADDED = (SUPERVISE_INIT, SUPERVISE_GATE)
_ARCHITECTURE_LABELS = ("kubernetes.io/arch", "beta.kubernetes.io/arch")
_SYSTEM_LABELS = ("kubernetes.io/os", "beta.kubernetes.io/os")


def obstacles_to_supervise(pod: Pod, facts: Facts, supervise: Supervise) -> Iterator[str]:
    """Yield reasons for which this pod cannot run supervise at all."""
    if supervise.image is None:
        yield "no image of supervise is configured"
    yield from _foreign_nodes(pod, facts, supervise)
    if any(volume.name == SUPERVISE_VOLUME for volume in pod.volumes):
        yield f"the pod has a volume {SUPERVISE_VOLUME} of its own"
    for container in pod.all_containers:
        if container.name in _ADDED:
            yield f"the pod has a container {container.name} of its own"
        for mount in container.mounts:
            if is_in_supervise_folder(mount.path):
                yield f"container {container.name} mounts {mount.path} itself"
    yield from _maxima_below_the_added(pod, facts)


def _maxima_below_the_added(pod: Pod, facts: Facts) -> Iterator[str]:
    """Yield LimitRanges that would refuse the pod because of the container that is added."""
    limits = requirements_of_added(pod, facts).get("limits", {})
    for limit_range, item in limit_items(facts.limit_ranges or ()):
        maxima = (item.get("max") or {}) if item.get("type") == "Container" else {}
        for name in sorted(maxima.keys() & limits.keys()):
            if amount(limits[name]) > amount(maxima[name]):
                yield f"LimitRange {metadata_of(limit_range).get('name')} allows no container with so much {name}"


def _foreign_nodes(pod: Pod, facts: Facts, supervise: Supervise) -> Iterator[str]:
    systems = pod.placement.values_of(*_SYSTEM_LABELS) or ()
    system = pod.operating_system or next(iter(systems), "linux")
    if system != "linux":
        yield f"supervise is not built for {system}"
    bound_to = pod.placement.values_of(*_ARCHITECTURE_LABELS)
    architectures = facts.sidecars.architectures if bound_to is None else bound_to
    foreign = sorted(architectures - set(supervise.architectures))
    if foreign:
        where = "the pod may land on" if bound_to is None else "the pod asks for"
        yield f"{where} {', '.join(foreign)}, supervise is built for {', '.join(supervise.architectures)}"
