"""GK103: a kubelet gives ordinary pods `shutdownGracePeriod` less the critical pods' part when its node shuts down.

That is so at a reboot and at a spot notice. By priority, each group of pods has its own seconds. Without either the operating
system kills pods at once.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from webhook.doctor.durations import duration_seconds, in_words
from webhook.doctor.finding import Cure, Evidence, Finding, PodLoss, Severity, Unseen
from webhook.doctor.kubelet_settings import PoolSettings, pool_settings, unseen_settings
from webhook.doctor.lists import ClusterLists
from webhook.doctor.trainers import TrainingPod, losses_of
from webhook.policy.pod.metadata import JsonObject

ID = "GK103"
_PERIOD, _CRITICAL = "shutdownGracePeriod", "shutdownGracePeriodCriticalPods"
_BY_PRIORITY = "shutdownGracePeriodByPodPriority"


def findings(lists: ClusterLists) -> Iterator[Finding | Unseen]:
    """Yield a finding for each pool and each number of seconds that it gives, and the nodes whose settings are not known."""
    for settings in pool_settings(lists):
        yield from _findings_of(settings, lists)
    yield from unseen_settings(lists, ID)


def _findings_of(settings: PoolSettings, lists: ClusterLists) -> Iterator[Finding]:
    by_seconds: dict[int, list[TrainingPod]] = defaultdict(list)
    by_seconds[_seconds_for(settings.config, 0)] = []
    for trainer in filter(settings.covers, lists.trainers):
        by_seconds[_seconds_for(settings.config, trainer.priority)].append(trainer)
    for seconds, trainers in sorted(by_seconds.items()):
        yield _finding(settings, seconds, losses_of(trainers, seconds))


def _seconds_for(config: JsonObject, priority: int) -> int:
    """Return the seconds of a pod of this priority; 0 where shutdown is not graceful."""
    groups = [
        (group.get("priority", 0), group.get("shutdownGracePeriodSeconds", 0))
        for group in config.get(_BY_PRIORITY) or ()
    ]
    if groups:
        reached = [group for group in groups if group[0] <= priority]
        return int((max(reached) if reached else min(groups))[1])
    whole, critical = (duration_seconds(config.get(name)) or 0 for name in (_PERIOD, _CRITICAL))
    return int(max(0, whole - critical))


def _finding(settings: PoolSettings, seconds: int, losses: tuple[PodLoss, ...]) -> Finding:
    pool, is_graceful = settings.pool, seconds > 0
    is_cap = is_graceful or settings.is_spot  # any machine may lose its power; a spot node is sure to be shut down
    given = f"gives pods {seconds} s" if is_graceful else "is not graceful: the operating system kills pods at once"
    fields = (_BY_PRIORITY,) if settings.config.get(_BY_PRIORITY) else (_PERIOD, _CRITICAL)
    values = ", ".join(f"{name}: {settings.config.get(name, '(not set)')}" for name in fields)
    return Finding(
        check=ID,
        severity=Severity.WARNING if losses and is_cap else Severity.INFO,
        subject=f"kubelets of pool {pool}",
        sentence=f"A shutdown of a node of pool {pool} {given} ({settings.source.name}).",
        cure=_cure(settings, losses),
        evidence=(Evidence(settings.source.get, f"{settings.source.path}.{fields[0]}", values),),
        losses=losses,
        cap=settings.cap("node shutdown", seconds) if is_cap else None,
    )


def _cure(settings: PoolSettings, losses: Sequence[PodLoss]) -> Cure:
    longest = max((loss.asked_seconds for loss in losses), default=0)
    critical = duration_seconds(settings.config.get(_CRITICAL)) or 0
    note = f"Ordinary pods get {_PERIOD} less {_CRITICAL}. More than the cloud's own notice has no effect."
    if settings.source.node_class:
        note += " Karpenter for AWS takes this key since the version after 1.14.1."
    return settings.cure(_PERIOD, in_words(longest + critical), note)
