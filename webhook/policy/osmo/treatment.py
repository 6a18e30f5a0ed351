"""How an OSMO task pod is treated: what is wanted, and what this cluster, this namespace and this pod allow."""

from collections.abc import Iterator
from dataclasses import dataclass

from webhook.policy import keys
from webhook.policy import pod as pods
from webhook.policy.config import Config, OsmoMode
from webhook.policy.facts import Facts
from webhook.policy.osmo import resources
from webhook.policy.osmo.task import Task
from webhook.policy.supervise.obstacles import obstacles


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


def treatment(task: Task, facts: Facts, said: keys.Statements, config: Config) -> Treatment:
    """What to do with a task's pod; a pod that was converted before keeps the form that it has."""
    stated = said.get(keys.OSMO_MODE)
    wanted, source = (config.osmo.mode, "default") if stated is None else (OsmoMode(stated.value), stated.source)
    if wanted not in {OsmoMode.NATIVE, OsmoMode.CONTAINER}:
        return Treatment(wanted, source)
    chosen = _chosen(task, facts, wanted, source)
    if task.converted:
        has = OsmoMode.NATIVE if task.native else OsmoMode.CONTAINER
        return chosen if has is chosen.mode else Treatment(has, "converted before")
    return Treatment(chosen.mode, chosen.why, next(_obstacles(task, facts, config), ""))


def _chosen(task: Task, facts: Facts, wanted: OsmoMode, source: str) -> Treatment:
    if wanted is OsmoMode.CONTAINER:
        return Treatment(wanted, source)
    if not facts.sidecars.native:
        return Treatment(OsmoMode.CONTAINER, facts.sidecars.why_not)
    against = resources.against_sidecar(task, facts)
    return Treatment(OsmoMode.CONTAINER, against) if against else Treatment(wanted, source)


def _obstacles(task: Task, facts: Facts, config: Config) -> Iterator[str]:
    """Reasons for which this pod cannot be converted at all."""
    if task.user is None:
        yield f"no container whose command is {pods.OSMO_EXEC}"
    yield from obstacles(task.pod, facts, config.supervise)
