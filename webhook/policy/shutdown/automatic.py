"""`forward-sigterm: auto`: which trainers are started through supervise although nobody asked for it.

All three have to hold: the start is known to lose the save, somebody wants the checkpoint, and supervise's image is known to
be on the nodes. While in doubt the pod starts as its owner wrote it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from webhook.policy.configuration import Supervise
from webhook.policy.facts import Facts, PrePull
from webhook.policy.names import shown
from webhook.policy.pod import Pod, marks
from webhook.policy.shutdown.signal_notes import has_ranks_in_other_pods


@dataclass(frozen=True, slots=True)
class Automatic:
    """Whether `auto` wraps, and the reason where it does not and an admin should know it."""

    wraps: bool
    why_not: str = ""


def automatic_wrapping(pod: Pod, facts: Facts, supervise: Supervise, *, is_wanted: bool) -> Automatic:
    """Return whether to wrap a trainer whose start loses the save.

    Without the pre-pull, which is the chart's default, nothing is wrapped and nothing said.
    """
    if facts.pre_pull is None or not (is_wanted or facts.lost_a_save):
        return Automatic(wraps=False)
    reason = next(_exceptions(pod, supervise), None) or next(_doubts(pod, facts.pre_pull, supervise), "")
    return Automatic(not reason, reason)


def _exceptions(pod: Pod, supervise: Supervise) -> Iterator[str]:
    """Yield reasons in the pod for which `auto` never wraps it."""
    if pod.start.traps_sigterm:
        yield "its script traps SIGTERM itself"
    if not pod.start.is_whole:
        yield "its script is too long to be read"
    if has_ranks_in_other_pods(pod):
        yield "its ranks run in other pods"
    if marks.KUEUE_POD_GROUP_LABEL in pod.labels:
        yield "Kueue compares the pods of a group"
    if pod.runtime_class and pod.runtime_class not in supervise.runtime_classes:
        yield f"supervise.runtimeClasses does not name {shown(pod.runtime_class)}"


def _doubts(pod: Pod, pre_pull: PrePull, supervise: Supervise) -> Iterator[str]:
    """Yield reasons for which supervise's image may be missing on the pod's node."""
    if supervise.images_always_pulled:
        yield "supervise.imagesAlwaysPulled is true, so no image counts as pulled"
    if pre_pull.why_not:
        yield pre_pull.why_not
    if pre_pull.image is None or pre_pull.image != supervise.image:
        yield "the pre-pull DaemonSet has another image of supervise"
    if pre_pull.pulls_with_secret and supervise.image_pull_secret is None:
        yield "the image is pulled with a secret: name one for pods in supervise.imagePullSecret"
    for label, value in pre_pull.node_selector.items():
        if pod.placement.values_of(label) != frozenset({value}):
            yield f"the pod may land on a node without {shown(label)}={shown(value)}, which is not pre-pulled"
