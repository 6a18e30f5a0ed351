"""The objects of a cluster by kind, as checks see them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from webhook.doctor.finding import UnseenReason
from webhook.doctor.trainers import TrainingPod
from webhook.policy.configuration import Config
from webhook.policy.pod.metadata import JsonObject, annotations_of
from webhook.policy.prefix import PREFIX

SKIP_ANNOTATION = PREFIX + "doctor-skip"
"""On an object: checks that are not to look at it, with commas between them: GK302, or GK3 for all of that group."""


@dataclass(frozen=True, slots=True)
class KindUnseen:
    """Why the objects of a kind are not known."""

    reason: UnseenReason
    message: str = ""
    """What the API server said; empty where it said nothing."""


@dataclass(frozen=True, slots=True)
class ClusterLists:
    """What was gathered, from a cluster or from a dump."""

    objects: Mapping[str, Sequence[JsonObject]] = field(default_factory=dict)
    """By kind. A kind that is not in it was not asked for, or could not be read."""
    unseen: Mapping[str, KindUnseen] = field(default_factory=dict)
    """By kind: why it could not be read."""
    trainers: tuple[TrainingPod, ...] = ()
    """The training pods that have not ended, each with its decision of today."""
    evicted: tuple[TrainingPod, ...] = ()
    """The training pods that a kubelet evicted and that are still there."""
    config: Config = field(default_factory=Config)
    """The configuration that decided on them."""

    def of(self, kind: str) -> Sequence[JsonObject]:
        """Return the objects of a kind; nothing where they are not known."""
        return self.objects.get(kind, ())

    def without_skipped(self, check_id: str) -> "ClusterLists":
        """Return the lists without the objects whose annotation says that this check is not to look at them."""
        objects = {
            kind: [each for each in of_kind if not _is_skipped(each, check_id)]
            for kind, of_kind in self.objects.items()
        }
        trainers, evicted = (
            tuple(each for each in pods if not _is_skipped(each.manifest, check_id))
            for pods in (self.trainers, self.evicted)
        )
        return replace(self, objects=objects, trainers=trainers, evicted=evicted)


def covers(pattern: str, check_id: str) -> bool:
    """Return whether an id or the beginning of one (GK2) means a check."""
    return bool(pattern) and check_id.startswith(pattern)


def _is_skipped(manifest: JsonObject, check_id: str) -> bool:
    text = annotations_of(manifest).get(SKIP_ANNOTATION)
    return isinstance(text, str) and any(covers(word.strip(), check_id) for word in text.split(","))
