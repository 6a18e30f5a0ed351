"""What policies and other webhooks did to training pods: as the probe's answer shows it, and pods that gracekeeper decided on."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from webhook.doctor import probe
from webhook.doctor.finding import PodLoss
from webhook.doctor.lists import ClusterLists
from webhook.doctor.probe import ProbeAnswer
from webhook.doctor.trainers import TrainingPod, losses_of
from webhook.policy.configuration import Config, Mode
from webhook.policy.door import decide, first_look
from webhook.policy.facts import Facts, Namespace
from webhook.policy.pod import read_pod
from webhook.policy.pod.metadata import JsonObject, annotations_of, metadata_of
from webhook.policy.pod.pod import grace_seconds_of
from webhook.policy.prefix import DECISION_ANNOTATION


@dataclass(frozen=True, slots=True)
class ShownPod:
    """A pod that the API server would have created for the probe, beside what gracekeeper itself makes of it."""

    probe: ProbeAnswer
    pod: JsonObject
    trainers: tuple[TrainingPod, ...]
    """The training pods of the namespace."""
    wanted_seconds: int
    is_wanted: bool
    """Whether gracekeeper changes such a pod here; not in a namespace that it leaves alone, and not in audit mode."""

    @property
    def was_called(self) -> bool:
        """Return whether gracekeeper was called, and answered."""
        return DECISION_ANNOTATION in annotations_of(self.pod)

    @property
    def asked_seconds(self) -> int:
        """Return the grace that the pod has unless somebody else sets it."""
        return self.wanted_seconds if self.was_called else probe.GRACE_SECONDS

    @property
    def given_seconds(self) -> int:
        """Return the grace that it would have been created with."""
        return grace_seconds_of(self.pod)

    @property
    def owners_seconds(self) -> int:
        """Return the grace of the same pod where its owner chose 601 s and asks gracekeeper for nothing."""
        return probe.GRACE_SECONDS if self.probe.owners_pod is None else grace_seconds_of(self.probe.owners_pod)

    @property
    def lost_restart_policy(self) -> bool:
        """Return whether its sidecar is no native one any more."""
        kept = any(each.get("restartPolicy") == "Always" for each in _sidecars(self.pod))
        return bool(_sidecars(self.probe.shown)) and not kept


@dataclass(frozen=True, slots=True)
class GraceEffect:
    """Pods of a namespace that got another grace than they asked for."""

    namespace: str
    given_seconds: int
    proof: str
    """What shows it, in words: the probe in namespace ml asked for 902 s and got 50 s."""
    losses: tuple[PodLoss, ...]
    """The training pods that lose by it."""


@dataclass(frozen=True, slots=True)
class Effects:
    """All that is seen of what others do to training pods."""

    graces: tuple[GraceEffect, ...]
    without_restart_policy: tuple[str, ...]
    """The namespaces in which a native sidecar stops being one."""
    answered: frozenset[str]
    """The namespaces in which the probe was answered."""


def effects_in(lists: ClusterLists) -> Effects:
    """Return what the probe's answers and the pods show."""
    answers = [probe.read_probe(each) for each in lists.of(probe.KIND)]
    shown = [shown_pod(lists, answer, answer.pod) for answer in answers if answer.pod is not None]
    return Effects(
        graces=(
            *(_of_answer(each) for each in shown if each.given_seconds < each.asked_seconds),
            *(_of_owners_pod(each) for each in shown if each.owners_seconds < probe.GRACE_SECONDS),
            *_of_pods(lists),
        ),
        without_restart_policy=tuple(each.probe.namespace for each in shown if each.lost_restart_policy),
        answered=frozenset(each.probe.namespace for each in shown),
    )


def shown_pod(lists: ClusterLists, answer: ProbeAnswer, pod: JsonObject) -> ShownPod:
    """Return the pod of an answer, with what gracekeeper would make of it and who trains in its namespace."""
    named = (each for each in lists.of("Namespace") if metadata_of(each).get("name") == answer.namespace)
    namespace = Namespace(answer.namespace, next(named, None))
    wanted = _wanted_seconds(answer.shown, namespace, lists.config)
    trainers = tuple(each for each in lists.trainers if each.namespace == answer.namespace)
    return ShownPod(answer, pod, trainers, wanted or probe.GRACE_SECONDS, wanted is not None)


def _wanted_seconds(shown: JsonObject, namespace: Namespace, config: Config) -> int | None:
    """Return the grace that gracekeeper gives such a pod; None where it leaves it as it is."""
    look = first_look(read_pod(shown), namespace, config)
    if look.mode is Mode.AUDIT:
        return None
    seconds = decide(look, Facts()).grace_seconds
    return None if seconds in {None, probe.GRACE_SECONDS} else seconds


def _of_answer(shown: ShownPod) -> GraceEffect:
    namespace, asked, given = shown.probe.namespace, shown.asked_seconds, shown.given_seconds
    proof = f"the probe in namespace {namespace} asked for {asked} s and got {given} s"
    return GraceEffect(namespace, given, proof, losses_of(shown.trainers, given))


def _of_owners_pod(shown: ShownPod) -> GraceEffect:
    namespace, given = shown.probe.namespace, shown.owners_seconds
    proof = f"the probe in namespace {namespace} came with {probe.GRACE_SECONDS} s of its owner and got {given} s"
    return GraceEffect(namespace, given, proof, ())


def _of_pods(lists: ClusterLists) -> Iterator[GraceEffect]:
    """Yield what pods show that carry a decision of gracekeeper, and less than it gave them."""
    for trainer in lists.trainers:
        asked, given = _decided_seconds(trainer.manifest), trainer.look.pod.grace_seconds
        if asked is not None and given < asked:
            proof = f"gracekeeper gave pod {trainer.full_name} {asked} s, and it has {given} s"
            loss = PodLoss(trainer.namespace, trainer.name, asked, given)
            yield GraceEffect(trainer.namespace, given, proof, (loss,))


def _decided_seconds(pod: JsonObject) -> int | None:
    """Return the grace in a pod's decision; None where it has none, or where only audit mode wrote it."""
    try:
        decision: Any = json.loads(annotations_of(pod).get(DECISION_ANNOTATION) or "")
    except (ValueError, TypeError):
        return None
    if not isinstance(decision, dict) or decision.get("mode") != Mode.ENFORCE:
        return None
    seconds = decision.get("grace")
    return seconds if isinstance(seconds, int) else None


def _sidecars(pod: JsonObject) -> list[JsonObject]:
    containers = (pod.get("spec") or {}).get("initContainers") or ()
    return [each for each in containers if each.get("name") == probe.SIDECAR]
