"""GK101: a kubelet with soft eviction gives a pod `evictionMaxPodGracePeriod` at most, which is 0 where nobody sets it.

A negative number means 1 s, by a bug, and not the pod's own grace (kubernetes v1.37.2, pkg/kubelet/eviction).
"""

from collections.abc import Iterator

from webhook.doctor.finding import Evidence, Finding, Severity, Unseen
from webhook.doctor.kubelet_settings import PoolSettings, pool_settings, unseen_settings
from webhook.doctor.lists import ClusterLists
from webhook.doctor.trainers import losses_of

ID = "GK101"
_FIELD = "evictionMaxPodGracePeriod"


def findings(lists: ClusterLists) -> Iterator[Finding | Unseen]:
    """Yield one finding for each pool with soft eviction, and the nodes whose settings are not known."""
    for settings in pool_settings(lists):
        if settings.config.get("evictionSoft"):
            yield _finding(settings, lists)
    yield from unseen_settings(lists, ID)


def _finding(settings: PoolSettings, lists: ClusterLists) -> Finding:
    value = settings.config.get(_FIELD)
    maximum = value if isinstance(value, int) else 0
    seconds = 1 if maximum < 0 else maximum
    losses = losses_of(filter(settings.covers, lists.trainers), seconds)
    thresholds = ", ".join(f"{name} {amount}" for name, amount in sorted(settings.config["evictionSoft"].items()))
    wanted = max((loss.asked_seconds for loss in losses), default=seconds)
    return Finding(
        check=ID,
        severity=Severity.WARNING if losses else Severity.INFO,
        subject=f"kubelets of pool {settings.pool}",
        sentence=f"The kubelets of pool {settings.pool} have soft eviction ({thresholds}). Under that pressure a pod gets "
        f"{seconds} s at most ({settings.source.name}).",
        cure=settings.cure(_FIELD, wanted, "Or remove evictionSoft there: then only hard eviction is left."),
        evidence=(
            Evidence(
                settings.source.get, f"{settings.source.path}.{_FIELD}", "(not set: 0)" if value is None else str(value)
            ),
        ),
        losses=losses,
        cap=settings.cap("soft eviction", seconds),
    )
