"""Which pods train.

The rules, in this order:
1. A mirror pod, a pod of an excluded Namespace and a pod whose owner opted out are left alone.
2. A pod whose owner, profile or Namespace opted in trains.
3. A serving or interactive workload does not train.
4. A pod with a mark of a training system trains.
5. A pod that asks for an accelerator and has a batch owner trains.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from webhook.policy.configuration import Profile
from webhook.policy.names import shown
from webhook.policy.pod import Pod, marks
from webhook.policy.pod.metadata import JsonObject, labels_of
from webhook.policy.prefix import ENABLED_LABEL
from webhook.policy.statements.keys import ENABLED
from webhook.policy.statements.statements import Statements


class Verdict(StrEnum):
    """What recognition says of a pod."""

    TRAINING = "training"
    NOT_TRAINING = "not-training"
    OPTED_OUT = "opted-out"
    EXCLUDED = "excluded"


@dataclass(frozen=True, slots=True)
class Recognition:
    """The verdict and what it rests on, in words for the decision."""

    verdict: Verdict
    because: str

    @property
    def trains(self) -> bool:
        """Whether a decision could change this pod."""
        return self.verdict is Verdict.TRAINING


def recognition_of(
    pod: Pod, namespace: JsonObject | None, statements: Statements, profile: Profile | None
) -> Recognition:
    """Return whether the pod trains, and the mark by which it is known."""
    by_choice = _left_out(pod, namespace, statements) or _opted_in(namespace, statements, profile)
    if by_choice is not None:
        return by_choice
    serving = _mark_of_serving(pod)
    if serving is not None:
        return Recognition(Verdict.NOT_TRAINING, serving)
    mark = next(_marks(pod), None) or _accelerator_in_a_batch(pod)
    if mark is None:
        return Recognition(Verdict.NOT_TRAINING, "no mark of a training system")
    return Recognition(Verdict.TRAINING, mark)


def _left_out(pod: Pod, namespace: JsonObject | None, statements: Statements) -> Recognition | None:
    if marks.MIRROR_ANNOTATION in pod.annotations:
        return Recognition(Verdict.EXCLUDED, "a mirror pod of a kubelet")
    if labels_of(namespace).get(ENABLED_LABEL) == "false":
        return Recognition(Verdict.EXCLUDED, f"the Namespace is labelled {ENABLED_LABEL}=false")
    enabled = statements.of_pod(ENABLED)
    if enabled is not None and enabled.value is False:
        return Recognition(Verdict.OPTED_OUT, f"{enabled.origin} {ENABLED_LABEL}=false")
    return None


def _opted_in(namespace: JsonObject | None, statements: Statements, profile: Profile | None) -> Recognition | None:
    enabled = statements.of_pod(ENABLED)
    if enabled is not None:
        return Recognition(Verdict.TRAINING, f"{enabled.origin} {ENABLED_LABEL}=true")
    if statements.by_owner:
        return Recognition(Verdict.TRAINING, "the pod carries a gracekeeper key")
    if profile is not None and profile.enabled is not None:
        verdict = Verdict.TRAINING if profile.enabled else Verdict.NOT_TRAINING
        return Recognition(verdict, f"profile {profile.name} enabled={str(profile.enabled).lower()}")
    if labels_of(namespace).get(ENABLED_LABEL) == "true":
        return Recognition(Verdict.TRAINING, f"the Namespace is labelled {ENABLED_LABEL}=true")
    return None


def _mark_of_serving(pod: Pod) -> str | None:
    label = marks.first_match(pod.labels, marks.NOT_TRAINING_LABELS)
    if label is not None:
        return f"label {label}"
    for key, value in marks.NOT_TRAINING_LABEL_VALUES:
        if pod.labels.get(key) == value:
            return f"label {key}={value}"
    step, trainer = marks.TRAINER_STEP_LABEL
    if pod.labels.get(step, trainer) != trainer:
        return f"label {step}={shown(pod.labels[step])}"
    for owner in pod.owners:
        if owner.kind in marks.NOT_TRAINING_OWNER_KINDS or any(
            word in owner.kind for word in marks.NOT_TRAINING_KIND_WORDS
        ):
            return f"owned by a {shown(owner.kind)}"
    return None


def _marks(pod: Pod) -> Iterator[str]:
    label = marks.first_match(pod.labels, marks.TRAINING_LABELS)
    if label is not None:
        yield f"label {shown(label)}"
    for owner in pod.owners:
        if owner.group in marks.TRAINING_OWNER_GROUPS:
            yield f"owned by a {shown(owner.kind)} of {owner.group}"
    annotation = marks.first_match(pod.annotations, marks.TRAINING_ANNOTATIONS)
    if annotation is not None:
        yield f"annotation {shown(annotation)}"
    for container in pod.containers:
        variable = marks.first_match(container.variable_names, marks.TRAINING_VARIABLES)
        if variable is not None:
            yield f"environment variable {shown(variable)} of container {shown(container.name)}"


def _accelerator_in_a_batch(pod: Pod) -> str | None:
    accelerator, batch = _accelerator(pod), _batch(pod)
    return f"{accelerator} in {batch}" if accelerator and batch else None


def _accelerator(pod: Pod) -> str | None:
    if pod.has_resource_claims:
        return "a DRA claim"
    for container in pod.all_containers:
        for resources in (container.limits, container.requests):
            resource = marks.first_match(resources, marks.ACCELERATORS)
            if resource is not None:
                return shown(resource)
    return None


def _batch(pod: Pod) -> str | None:
    for owner in pod.owners:
        if (owner.group, owner.kind) in marks.BATCH_OWNERS:
            return f"a {owner.kind}"
    if pod.owners:
        return None
    pairs = (f"{key}={value}" for key, value in marks.BATCH_LABEL_VALUES if pod.labels.get(key) == value)
    label = marks.first_match(pod.labels, marks.BATCH_LABELS) or next(pairs, None)
    return f"a batch (label {label})" if label else None
