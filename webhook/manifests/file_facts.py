"""The objects of a file, as a cluster that holds them would answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from webhook.manifests import PodInFile, jobs
from webhook.policy.facts import Facts, Lookups, Missing, MissingReason, Namespace, PrePull, Sidecars, pre_pull_of
from webhook.policy.pod.accelerators import memory_mib_by_product
from webhook.policy.pod.metadata import JsonObject, labels_of, metadata_of

_FIELD_BY_KIND = {
    "PersistentVolumeClaim": "claims",
    "PersistentVolume": "persistent_volumes",
    "StorageClass": "storage_classes",
    "VolumeAttributesClass": "volume_attributes_classes",
}
_NAMESPACE_FIELD_BY_KIND = {"LimitRange": "limit_ranges", "ResourceQuota": "resource_quotas"}
_NAMESPACED_KINDS = {"PersistentVolumeClaim", *_NAMESPACE_FIELD_BY_KIND}
_PRE_PULL_LABELS = {"app.kubernetes.io/part-of": "gracekeeper", "app.kubernetes.io/component": "prepull"}
"""By which the chart's DaemonSet is known."""
_SIDECARS = Sidecars(native=True, why_not="")
"""Files tell nothing about the nodes; the clusters of today run native sidecars."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A provider of facts (`evaluation.FactsProvider`) about one pod of a file."""

    pod: PodInFile
    objects: Sequence[JsonObject] | None
    """None: nothing is known, so nothing is missing."""

    async def namespace(self, name: str, _seconds: float) -> Namespace:
        """Return the Namespace, where the objects have it."""
        manifests = (each for each in self.objects or () if _kind_and_name(each) == ("Namespace", name))
        return Namespace(name, next(manifests, None))

    async def facts(self, namespace: str, lookups: Lookups, _seconds: float) -> Facts:
        """Return the objects around the pod."""
        if self.objects is None:
            return Facts(sidecars=_SIDECARS, job=self.pod.job, replicas=self.pod.replicas)
        by_kind = _by_field(self.objects, namespace)
        claims = {**self.pod.claims, **by_kind.pop("claims")}
        missing = tuple(
            Missing(f"PersistentVolumeClaim {namespace}/{claim}", MissingReason.NOT_FOUND)
            for claim in lookups.claim_names
            if claim not in claims
        )
        return Facts(
            claims=claims,
            replicas=self.pod.replicas,
            job=self.pod.job or jobs.job_named(lookups.job, namespace, self.objects),
            accelerator_memory_mib=memory_mib_by_product(map(labels_of, _schedulable_nodes(self.objects))),
            sidecars=_SIDECARS,
            pre_pull=_pre_pull(self.objects),
            missing=missing,
            **by_kind,
        )


def _pre_pull(objects: Sequence[JsonObject]) -> PrePull | None:
    """Return what the chart's pre-pull DaemonSet tells, where it is among the objects."""
    daemon_sets = (each for each in objects if each.get("kind") == "DaemonSet")
    ours = (each for each in daemon_sets if _PRE_PULL_LABELS.items() <= labels_of(each).items())
    return next(map(pre_pull_of, ours), None)


def _by_field(objects: Sequence[JsonObject], namespace: str) -> dict[str, Any]:
    """Return the objects as fields of Facts, without those of other namespaces."""
    by_name: dict[str, dict[str, JsonObject]] = {field: {} for field in _FIELD_BY_KIND.values()}
    of_namespace: dict[str, tuple[JsonObject, ...]] = dict.fromkeys(_NAMESPACE_FIELD_BY_KIND.values(), ())
    for document in objects:
        kind, name = _kind_and_name(document)
        if kind in _NAMESPACED_KINDS and metadata_of(document).get("namespace", namespace) != namespace:
            continue
        if kind in _NAMESPACE_FIELD_BY_KIND:
            of_namespace[_NAMESPACE_FIELD_BY_KIND[kind]] += (document,)
        elif kind in _FIELD_BY_KIND:
            by_name[_FIELD_BY_KIND[kind]][name] = document
    by_name["claims"] = {name: _in_namespace(claim, namespace) for name, claim in by_name["claims"].items()}
    return {**by_name, **of_namespace}


def _in_namespace(claim: JsonObject, namespace: str) -> JsonObject:
    """Return the claim with the namespace that it would be created in, where it names none."""
    return {**claim, "metadata": {"namespace": namespace, **metadata_of(claim)}}


def _schedulable_nodes(objects: Sequence[JsonObject]) -> list[Mapping[str, Any]]:
    nodes = (document for document in objects if document.get("kind") == "Node")
    return [node for node in nodes if not (node.get("spec") or {}).get("unschedulable")]


def _kind_and_name(document: JsonObject) -> tuple[Any, str]:
    return document.get("kind"), metadata_of(document).get("name", "")
