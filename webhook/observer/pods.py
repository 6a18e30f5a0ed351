"""What the observer keeps of the pods that it watches, until they have ended."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from webhook.policy.observed.history import PodHistory, first_seen, next_seen
from webhook.policy.pod import Pod, read_pod
from webhook.policy.pod.marks import SUPERVISE_INIT
from webhook.policy.pod.metadata import JsonObject, controller_of, metadata_of
from webhook.policy.pod.status import InitProgress, init_progress, read_status
from webhook.policy.prefix import EXACT_WORKLOAD_LABEL, WORKLOAD_LABEL
from webhook.policy.statements.statements import statements_about
from webhook.policy.workload.labels import are_ours


@dataclass(frozen=True, slots=True)
class ObservedWorkload:
    """Under which names a pod's end is remembered, within its namespace."""

    namespace: str
    coarse: str
    exact: str


@dataclass(frozen=True, slots=True)
class ObservedPod:
    """One pod, as the objects of its watch have shown it."""

    workload: ObservedWorkload
    name: str
    controller: Mapping[str, Any]
    """The reference to its controlling owner; empty for a pod without one."""
    accelerators: int
    """How many accelerators all its containers ask for."""
    history: PodHistory
    install: InitProgress | None = None
    """How far gracekeeper's init container came in the object that was read; None in a pod without one."""

    @property
    def uid(self) -> str:
        """Return the pod's uid."""
        return self.history.status.uid


def read_observed_pod(manifest: JsonObject) -> ObservedPod | None:
    """Return what one object shows of a pod.

    None where a label names another workload than the policy of this release finds: another release wrote it, or
    somebody copied it from another pod.
    """
    pod = read_pod(manifest)
    workload = _workload_of(pod, str(metadata_of(manifest).get("namespace") or ""))
    if workload is None:
        return None
    return ObservedPod(
        workload=workload,
        name=pod.name,
        controller=controller_of(manifest),
        accelerators=sum(sum(container.accelerators.values()) for container in pod.containers),
        history=first_seen(pod, read_status(manifest)),
        install=init_progress(manifest, SUPERVISE_INIT),
    )


def after(before: ObservedPod | None, seen: ObservedPod, *, is_gone: bool = False) -> ObservedPod:
    """Return a pod with one more object of it; `before` is what was known of that name, or None."""
    if before is None or before.uid != seen.uid:
        before = seen
    return replace(
        before, install=seen.install, history=next_seen(before.history, seen.history.status, is_gone=is_gone)
    )


def _workload_of(pod: Pod, namespace: str) -> ObservedWorkload | None:
    """Return the workload that the labels name; None where they are not what gracekeeper writes on this pod."""
    if not are_ours(pod, statements_about(pod, None, None)):
        return None
    return ObservedWorkload(namespace, str(pod.labels[WORKLOAD_LABEL]), str(pod.labels[EXACT_WORKLOAD_LABEL]))
