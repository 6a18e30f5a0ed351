"""The table of checks. To add one: a file in checks/ with `ID` and `findings`, and a row here.

tests/doctor/test_table.py holds that each file has a row, a section in docs/doctor.md and a test of its own.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from webhook.doctor.checks import (
    autoscaler_maximum,
    blocking_budget,
    claim_room,
    gatekeeper_mutations,
    job_replacement,
    karpenter_termination,
    kubelet_eviction,
    kyverno_policies,
    lost_signal,
    managed_autoscaler,
    mutating_admission_policies,
    node_room,
    node_shutdown,
    older_pods,
    other_webhooks,
    overridden_grace,
    pod_creation,
    reach,
    second_clocks,
    seen_interruptions,
    soft_eviction,
    spot_notice,
)
from webhook.doctor.finding import Finding, Severity, Unseen
from webhook.doctor.kinds import FOR_TRAINERS
from webhook.doctor.lists import ClusterLists, covers


@dataclass(frozen=True, slots=True)
class Check:
    """One row: what it looks for, how bad that is, and what it asks for."""

    id: str
    severity: Severity
    """The worst that it reports."""
    title: str
    """The heading of its section in docs/doctor.md, after the id."""
    kinds: tuple[str, ...]
    """The kinds that it asks for; without one of them it could not look."""
    findings: Callable[[ClusterLists], Iterable[Finding | Unseen]]
    """The check itself, a pure function."""
    needs_metrics: bool = False
    """Whether it also asks for the API server's own metrics."""


CHECKS: tuple[Check, ...] = (
    Check(
        soft_eviction.ID,
        Severity.WARNING,
        "Soft eviction gives pods its own maximum",
        (*FOR_TRAINERS, "EC2NodeClass", "ConfigMap"),
        soft_eviction.findings,
    ),
    Check(
        kubelet_eviction.ID,
        Severity.ERROR,
        "A kubelet evicts a pod in about 2 seconds",
        FOR_TRAINERS,
        kubelet_eviction.findings,
    ),
    Check(
        node_shutdown.ID,
        Severity.WARNING,
        "A node that shuts down gives pods a part of its own time",
        (*FOR_TRAINERS, "EC2NodeClass", "ConfigMap"),
        node_shutdown.findings,
    ),
    Check(
        spot_notice.ID,
        Severity.WARNING,
        "A spot node is taken away at short notice",
        FOR_TRAINERS,
        spot_notice.findings,
    ),
    Check(
        karpenter_termination.ID,
        Severity.ERROR,
        "Karpenter ends a node before the pods on it have saved",
        (*FOR_TRAINERS, "NodePool", "NodeClaim"),
        karpenter_termination.findings,
    ),
    Check(
        autoscaler_maximum.ID,
        Severity.WARNING,
        "cluster-autoscaler gives pods its own maximum",
        (*FOR_TRAINERS, "Deployment", "StatefulSet"),
        autoscaler_maximum.findings,
    ),
    Check(
        managed_autoscaler.ID,
        Severity.INFO,
        "A cloud's cluster-autoscaler has a maximum that cannot be read",
        (*FOR_TRAINERS, "Deployment", "StatefulSet", "ConfigMap"),
        managed_autoscaler.findings,
    ),
    Check(
        overridden_grace.ID,
        Severity.WARNING,
        "Pods are being deleted with less than their own grace",
        FOR_TRAINERS,
        overridden_grace.findings,
    ),
    Check(
        seen_interruptions.ID,
        Severity.WARNING,
        "Pods were given less than their own grace",
        (*FOR_TRAINERS, "Deployment"),
        seen_interruptions.findings,
    ),
    Check(
        kyverno_policies.ID,
        Severity.ERROR,
        "A policy of Kyverno sets the grace of pods",
        (*FOR_TRAINERS, "ClusterPolicy", "Policy", "MutatingPolicy"),
        kyverno_policies.findings,
    ),
    Check(
        gatekeeper_mutations.ID,
        Severity.ERROR,
        "A mutation of Gatekeeper sets the grace of pods",
        (*FOR_TRAINERS, "Assign", "ModifySet"),
        gatekeeper_mutations.findings,
    ),
    Check(
        mutating_admission_policies.ID,
        Severity.ERROR,
        "A MutatingAdmissionPolicy sets the grace of pods",
        (*FOR_TRAINERS, "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"),
        mutating_admission_policies.findings,
    ),
    Check(
        pod_creation.ID,
        Severity.ERROR,
        "What the cluster makes of a new training pod",
        FOR_TRAINERS,
        pod_creation.findings,
    ),
    Check(
        other_webhooks.ID,
        Severity.ERROR,
        "Another webhook changes pods after gracekeeper",
        (*FOR_TRAINERS, "MutatingWebhookConfiguration"),
        other_webhooks.findings,
    ),
    Check(
        reach.ID,
        Severity.ERROR,
        "The API server does not reach gracekeeper",
        (*FOR_TRAINERS, "Deployment", "MutatingWebhookConfiguration", "EndpointSlice"),
        reach.findings,
        needs_metrics=True,
    ),
    Check(
        blocking_budget.ID,
        Severity.WARNING,
        "A PodDisruptionBudget blocks drains",
        (*FOR_TRAINERS, "PodDisruptionBudget"),
        blocking_budget.findings,
    ),
    Check(
        job_replacement.ID,
        Severity.ERROR,
        "A Job starts the next pod while the old one still writes",
        FOR_TRAINERS,
        job_replacement.findings,
    ),
    Check(
        node_room.ID,
        Severity.ERROR,
        "The checkpoint is larger than the pod may write to its node",
        FOR_TRAINERS,
        node_room.findings,
    ),
    Check(
        claim_room.ID,
        Severity.ERROR,
        "A claim is too small for the next checkpoint",
        FOR_TRAINERS,
        claim_room.findings,
    ),
    Check(
        lost_signal.ID,
        Severity.WARNING,
        "SIGTERM does not reach the process that saves",
        FOR_TRAINERS,
        lost_signal.findings,
    ),
    Check(
        second_clocks.ID,
        Severity.WARNING,
        "A clock inside the pod cuts the save",
        FOR_TRAINERS,
        second_clocks.findings,
    ),
    Check(
        older_pods.ID,
        Severity.WARNING,
        "Pods run with less grace than they need",
        FOR_TRAINERS,
        older_pods.findings,
    ),
)


def chosen(only: Iterable[str], skip: Iterable[str]) -> Iterator[Check]:
    """Yield the checks that these ids, or beginnings of ids (GK2), choose and do not leave out. No `only` chooses all."""
    only, skip = tuple(only), tuple(skip)
    for check in CHECKS:
        is_chosen = not only or any(covers(pattern, check.id) for pattern in only)
        if is_chosen and not any(covers(pattern, check.id) for pattern in skip):
            yield check


def unknown(patterns: Iterable[str]) -> list[str]:
    """Return the patterns that mean no check."""
    return [pattern for pattern in patterns if not any(covers(pattern, check.id) for check in CHECKS)]
