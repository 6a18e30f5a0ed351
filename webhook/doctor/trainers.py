"""The training pods of a cluster, each with the product's own decision, made anew from the objects around it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from webhook.doctor.finding import PodLoss, longest_loss_first
from webhook.policy.checkpoint.size import checkpoint_bytes
from webhook.policy.checkpoint.writers import Share, share_of_job
from webhook.policy.configuration import Config
from webhook.policy.decision import Decision
from webhook.policy.door import Look, decide, first_look
from webhook.policy.facts import Facts, Lookups, Missing, MissingReason, Namespace, Sidecars
from webhook.policy.pod import KUBERNETES_DEFAULT_GRACE_SECONDS, read_pod
from webhook.policy.pod.accelerators import memory_mib_by_product
from webhook.policy.pod.metadata import JsonObject, labels_of, metadata_of
from webhook.policy.storage.room import Shortage, shortages

_ENDED = ("Succeeded", "Failed")
_EVICTED = "Evicted"
_SIDECARS = Sidecars(native=True, why_not="")
"""The grace is the same in both modes of an OSMO task's conversion."""


@dataclass(frozen=True, slots=True)
class TrainingPod:
    """A training pod that has not ended."""

    manifest: JsonObject
    look: Look
    decision: Decision
    facts: Facts
    """The objects around it, by which it was decided."""
    node_name: str
    """Empty while it is not bound to a node."""
    node_labels: Mapping[str, Any]
    """The labels of its node; empty where the node is not known."""

    @property
    def namespace(self) -> str:
        """Return its namespace."""
        return str(metadata_of(self.manifest).get("namespace", ""))

    @property
    def name(self) -> str:
        """Return its name."""
        return str(metadata_of(self.manifest).get("name", ""))

    @property
    def full_name(self) -> str:
        """Return namespace/name."""
        return f"{self.namespace}/{self.name}"

    @property
    def asked_seconds(self) -> int:
        """Return the grace that it has, or would get today where that is more."""
        return max(self.look.pod.grace_seconds, self.decision.grace_seconds or 0)

    @property
    def share(self) -> Share | None:
        """Return what it writes of its job's checkpoint; None where nobody states the size."""
        pod, statements = self.look.pod, self.look.statements
        checkpoint = checkpoint_bytes(statements, self.look.config.defaults)
        if checkpoint is None:
            return None
        return share_of_job(pod, statements, checkpoint, self.facts.job, self.facts.replicas)

    @property
    def shortages(self) -> tuple[Shortage, ...]:
        """Return the places that are too small for its checkpoints; none where nobody states the size."""
        share = self.share
        return () if share is None else shortages(self.look.pod, self.facts, self.look.statements, share)

    @property
    def priority(self) -> int:
        """Return its priority, as its PriorityClass gave it."""
        value = (self.manifest.get("spec") or {}).get("priority")
        return value if isinstance(value, int) else 0

    @property
    def asks_for_time(self) -> bool:
        """Return whether anybody wants more for it than Kubernetes' default; else nothing tells that it saves."""
        return self.decision.grace_seconds is not None or self.asked_seconds > KUBERNETES_DEFAULT_GRACE_SECONDS

    def is_on(self, node_selector: Mapping[str, str]) -> bool:
        """Return whether its node has these labels; while it has no node, whether it asks for one that has them."""
        if self.node_labels:
            return node_selector.items() <= self.node_labels.items()
        return self.look.pod.placement.may_bind(node_selector)


def losses_of(trainers: Iterable[TrainingPod], given_seconds: int) -> tuple[PodLoss, ...]:
    """Return the pods among these that ask for more than so many seconds, the longest loss first."""
    losses = [
        PodLoss(each.namespace, each.name, each.asked_seconds, given_seconds)
        for each in trainers
        if each.asks_for_time and each.asked_seconds > given_seconds
    ]
    return longest_loss_first(losses)


def losses_of_unpatched(trainers: Iterable[TrainingPod]) -> tuple[PodLoss, ...]:
    """Return the pods among these that have less than gracekeeper gives them today, the longest loss first."""
    losses = [
        PodLoss(each.namespace, each.name, each.asked_seconds, each.look.pod.grace_seconds)
        for each in trainers
        if each.asks_for_time and each.asked_seconds > each.look.pod.grace_seconds
    ]
    return longest_loss_first(losses)


class TrainersInLists:
    """Decides on the pods of a cluster from lists of its objects."""

    def __init__(self, objects: Mapping[str, Sequence[JsonObject]], config: Config) -> None:
        self._objects = objects
        self._config = config
        self._nodes = _by_name(objects.get("Node", ()))
        self._namespaces = _by_name(objects.get("Namespace", ()))
        self._claims = _by_namespace(objects.get("PersistentVolumeClaim", ()))
        self._jobs = _by_namespace(objects.get("Job", ()))
        self._volumes = _by_name(objects.get("PersistentVolume", ()))
        self._classes = _by_name(objects.get("StorageClass", ()))
        self._attributes_classes = _by_name(objects.get("VolumeAttributesClass", ()))
        schedulable = (each for each in self._nodes.values() if not (each.get("spec") or {}).get("unschedulable"))
        self._memory_mib = memory_mib_by_product(map(labels_of, schedulable))

    def trainers(self) -> tuple[TrainingPod, ...]:
        """Return the training pods that have not ended."""
        return self._among(lambda status: status.get("phase") not in _ENDED)

    def evicted(self) -> tuple[TrainingPod, ...]:
        """Return the training pods that a kubelet evicted and that are still there."""
        return self._among(lambda status: status.get("reason") == _EVICTED)

    def _among(self, is_meant: Callable[[JsonObject], bool]) -> tuple[TrainingPod, ...]:
        pods = (each for each in self._objects.get("Pod", ()) if is_meant(each.get("status") or {}))
        trainers = (self._trainer(each) for each in pods)
        return tuple(each for each in trainers if each is not None)

    def _trainer(self, manifest: JsonObject) -> TrainingPod | None:
        namespace = str(metadata_of(manifest).get("namespace", ""))
        look = first_look(read_pod(manifest), Namespace(namespace, self._namespaces.get(namespace)), self._config)
        if not look.recognition.trains:
            return None
        facts = self._facts(namespace, look.lookups)
        decision = replace(decide(look, facts), annotation=None)  # two kilobytes of text, which nobody here reads
        node_name = str((manifest.get("spec") or {}).get("nodeName") or "")
        node_labels = labels_of(self._nodes.get(node_name))
        return TrainingPod(manifest, look, decision, facts, node_name, node_labels)

    def _facts(self, namespace: str, lookups: Lookups) -> Facts:
        claims = self._claims.get(namespace, {})
        known = {name: claims[name] for name in lookups.claim_names if name in claims}
        missing = tuple(
            Missing(f"PersistentVolumeClaim {namespace}/{name}", MissingReason.NOT_FOUND)
            for name in lookups.claim_names
            if name not in claims
        )
        return Facts(
            claims=known,
            persistent_volumes=self._volumes,
            storage_classes=self._classes,
            volume_attributes_classes=self._attributes_classes,
            sidecars=_SIDECARS,
            job=None if lookups.job is None else self._jobs.get(namespace, {}).get(lookups.job),
            accelerator_memory_mib=self._memory_mib,
            missing=missing,
        )


def _by_name(objects: Iterable[JsonObject]) -> dict[str, JsonObject]:
    return {metadata_of(each).get("name", ""): each for each in objects}


def _by_namespace(objects: Iterable[JsonObject]) -> dict[str, dict[str, JsonObject]]:
    by_namespace: dict[str, dict[str, JsonObject]] = {}
    for each in objects:
        metadata = metadata_of(each)
        by_namespace.setdefault(metadata.get("namespace", ""), {})[metadata.get("name", "")] = each
    return by_namespace
