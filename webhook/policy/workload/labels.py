"""The labels by which the observer knows a workload again."""

from collections.abc import Mapping
from dataclasses import replace

from webhook.policy.configuration import Observer
from webhook.policy.facts import Lookups
from webhook.policy.pod import Pod
from webhook.policy.prefix import EXACT_WORKLOAD_LABEL, WORKLOAD_LABEL, WORKLOAD_LABELS
from webhook.policy.statements import keys
from webhook.policy.statements.statements import Statements
from webhook.policy.workload.workload_names import names_of


def are_ours(pod: Pod, statements: Statements) -> bool:
    """Return whether the labels that a pod has are those that this policy writes on it.

    Another version may hash otherwise, and anybody can write a label: nothing is learned from such a pod. The coarse label
    may be a name that a Namespace or a profile gives, so the exact one decides.
    """
    expected = labels_for(pod, statements)
    return WORKLOAD_LABEL in pod.labels and pod.labels.get(EXACT_WORKLOAD_LABEL) == expected.get(EXACT_WORKLOAD_LABEL)


def labels_for(pod: Pod, statements: Statements) -> Mapping[str, str | None]:
    """Return the labels of a training pod; None for one that it is not to have.

    A name that the pod's owner gives stands for both names. One that a Namespace or a profile gives covers many workloads,
    so it is the coarse name alone.
    """
    stated = statements.get(keys.WORKLOAD)
    if stated is not None and stated.value == keys.NO_WORKLOAD:
        return dict.fromkeys((name for name in WORKLOAD_LABELS if name in pod.labels), None)
    names = names_of(pod)
    if stated is None:
        return {WORKLOAD_LABEL: names.coarse, EXACT_WORKLOAD_LABEL: names.exact}
    is_owners = statements.of_pod(keys.WORKLOAD) is not None
    return {WORKLOAD_LABEL: stated.value, EXACT_WORKLOAD_LABEL: stated.value if is_owners else names.exact}


def with_earlier_runs(lookups: Lookups, pod: Pod, labels: Mapping[str, str | None], observer: Observer) -> Lookups:
    """Return the lookups with the names under which earlier runs are remembered; none where these labels have none."""
    exact, coarse = labels.get(EXACT_WORKLOAD_LABEL), labels.get(WORKLOAD_LABEL)
    names = None if exact is None or coarse is None else (exact, coarse)
    return replace(lookups, workload_names=names, gang=pod.gang, gang_seconds=observer.minimum_run_seconds)
