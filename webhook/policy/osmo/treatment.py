"""How an OSMO task pod is treated: what is wanted, and what this cluster, this namespace and this pod allow."""

from collections.abc import Iterator
from dataclasses import dataclass

from webhook.policy import keys
from webhook.policy import pod as pods
from webhook.policy.config import Osmo, OsmoMode
from webhook.policy.facts import Facts, JsonObject
from webhook.policy.osmo import resources
from webhook.policy.osmo.task import Task

_VOLUME = "gracekeeper"
_FOLDER = "/gracekeeper"
_ADDED = ("gracekeeper-init", "gracekeeper-gate")
_ARCHITECTURE_LABELS = ("kubernetes.io/arch", "beta.kubernetes.io/arch")
_SYSTEM_LABELS = ("kubernetes.io/os", "beta.kubernetes.io/os")


@dataclass(frozen=True, slots=True)
class Treatment:
    """The mode and who or what chose it; `impossible` says why a pod that was to be converted is left as it is."""

    mode: OsmoMode
    why: str
    impossible: str = ""

    @property
    def converts(self) -> bool:
        """Whether the pod's containers are to be wrapped."""
        return self.mode in {OsmoMode.NATIVE, OsmoMode.CONTAINER} and not self.impossible


def treatment(task: Task, facts: Facts, said: keys.Statements, osmo: Osmo) -> Treatment:
    """What to do with a task's pod; a pod that was converted before keeps the form that it has."""
    stated = said.get(keys.OSMO_MODE)
    wanted, source = (osmo.mode, "default") if stated is None else (OsmoMode(stated.value), stated.source)
    if wanted not in {OsmoMode.NATIVE, OsmoMode.CONTAINER}:
        return Treatment(wanted, source)
    chosen = _chosen(task, facts, wanted, source)
    if task.converted:
        has = OsmoMode.NATIVE if task.native else OsmoMode.CONTAINER
        return chosen if has is chosen.mode else Treatment(has, "converted before")
    return Treatment(chosen.mode, chosen.why, next(_obstacles(task, facts, osmo), ""))


def _chosen(task: Task, facts: Facts, wanted: OsmoMode, source: str) -> Treatment:
    if wanted is OsmoMode.CONTAINER:
        return Treatment(wanted, source)
    if not facts.sidecars.native:
        return Treatment(OsmoMode.CONTAINER, facts.sidecars.why_not)
    against = resources.against_sidecar(task, facts)
    return Treatment(OsmoMode.CONTAINER, against) if against else Treatment(wanted, source)


def _obstacles(task: Task, facts: Facts, osmo: Osmo) -> Iterator[str]:
    """Reasons for which this pod cannot run supervise at all."""
    pod = task.pod
    if osmo.image is None:
        yield "no image of supervise is configured"
    if task.user is None:
        yield f"no container whose command is {pods.OSMO_EXEC}"
    yield from _foreign_nodes(pod, facts, osmo)
    spec = pod.get("spec") or {}
    everyone = (*pods.containers(pod), *pods.init_containers(pod))
    if any(volume.get("name") == _VOLUME for volume in spec.get("volumes") or ()):
        yield f"the pod has a volume {_VOLUME} of its own"
    for container in everyone:
        if container.get("name") in _ADDED:
            yield f"the pod has a container {container['name']} of its own"
        for mount in container.get("volumeMounts") or ():
            if f"{mount.get('mountPath', '')}/".startswith(f"{_FOLDER}/"):
                yield f"container {container.get('name')} mounts {mount['mountPath']} itself"


def _foreign_nodes(pod: JsonObject, facts: Facts, osmo: Osmo) -> Iterator[str]:
    spec = pod.get("spec") or {}
    system = (spec.get("os") or {}).get("name") or next(iter(_asked(spec, _SYSTEM_LABELS) or ()), "linux")
    if system != "linux":
        yield f"supervise is not built for {system}"
    asked = _asked(spec, _ARCHITECTURE_LABELS)
    foreign = sorted((facts.sidecars.architectures if asked is None else asked) - set(osmo.architectures))
    if foreign:
        where = "the pod may land on" if asked is None else "the pod asks for"
        yield f"{where} {', '.join(foreign)}, supervise is built for {', '.join(osmo.architectures)}"


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
