"""How an OSMO task pod is treated: what is wanted, and what this cluster, this namespace and this pod allow."""

from collections.abc import Iterator
from dataclasses import dataclass

from webhook.policy.configuration import Config, OsmoMode
from webhook.policy.facts import Facts
from webhook.policy.osmo.sidecar_resources import obstacle_to_sidecar
from webhook.policy.pod import OsmoTask, Pod
from webhook.policy.pod.marks import OSMO_EXEC
from webhook.policy.shutdown.obstacles import obstacles_to_supervise
from webhook.policy.statements import keys
from webhook.policy.statements.statements import Statements


@dataclass(frozen=True, slots=True)
class Treatment:
    """The mode and who or what chose it."""

    mode: OsmoMode
    why: str
    impossible: str = ""
    """Why a pod that was to be converted is left as it is."""

    @property
    def converts(self) -> bool:
        """Whether the pod's containers are to be wrapped."""
        return self.mode in {OsmoMode.NATIVE, OsmoMode.CONTAINER} and not self.impossible


def treatment_of(pod: Pod, task: OsmoTask, facts: Facts, statements: Statements, config: Config) -> Treatment:
    """Return what to do with a task's pod. A pod that was converted before keeps the form that it has."""
    stated = statements.get(keys.OSMO_MODE)
    wanted, source = (config.osmo.mode, "default") if stated is None else (OsmoMode(stated.value), stated.origin)
    if wanted not in {OsmoMode.NATIVE, OsmoMode.CONTAINER}:
        return Treatment(wanted, source)
    chosen = _chosen(pod, task, facts, Treatment(wanted, source))
    if task.converted:
        has = OsmoMode.NATIVE if task.native else OsmoMode.CONTAINER
        return chosen if has is chosen.mode else Treatment(has, "converted before")
    return Treatment(chosen.mode, chosen.why, next(_obstacles(pod, task, facts, config), ""))


def _chosen(pod: Pod, task: OsmoTask, facts: Facts, wanted: Treatment) -> Treatment:
    if wanted.mode is OsmoMode.CONTAINER:
        return wanted
    if not facts.sidecars.native:
        return Treatment(OsmoMode.CONTAINER, facts.sidecars.why_not)
    obstacle = obstacle_to_sidecar(pod, task, facts)
    return Treatment(OsmoMode.CONTAINER, obstacle) if obstacle else wanted


def _obstacles(pod: Pod, task: OsmoTask, facts: Facts, config: Config) -> Iterator[str]:
    """Yield reasons for which this pod cannot be converted at all."""
    if task.user is None:
        yield f"no container whose command is {OSMO_EXEC}"
    yield from obstacles_to_supervise(pod, facts, config.supervise)
