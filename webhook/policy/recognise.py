"""Which pods gracekeeper acts on: opt-out first, then opt-in, then the marks of training systems, then accelerator and batch owner.

Serving and interactive workloads are left alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from webhook.policy import keys, markers
from webhook.policy import pod as pods
from webhook.policy.config import Config, Profile
from webhook.policy.facts import JsonObject
from webhook.policy.lookups import Lookups, lookups
from webhook.policy.names import shown
from webhook.policy.prefix import ENABLED_LABEL


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


@dataclass(frozen=True, slots=True)
class Look:
    """What is seen of a pod without its surroundings: its profile, what was said about it, whether it trains."""

    profile: Profile | None
    said: keys.Statements
    found: Recognition
    lookups: Lookups
    """What is worth a lookup beside the pod's volumes."""

    @property
    def trains(self) -> bool:
        """Whether a decision could change this pod, so that facts about its volumes are worth asking for."""
        return self.found.verdict is Verdict.TRAINING


def profile_for(pod: JsonObject, namespace_name: str, config: Config) -> Profile | None:
    """The profile of the configuration that covers this pod."""
    return config.profile_for(namespace_name, pods.labels(pod), frozenset(kind for _, kind in pods.owners(pod)))


def look_at(pod: JsonObject, namespace: JsonObject | None, namespace_name: str, config: Config) -> Look:
    """The first look at a pod, whose volumes may not be known yet."""
    profile = profile_for(pod, namespace_name, config)
    said = keys.statements(pod, namespace, profile)
    beside = lookups(pod, said, config.unknown_size_for(profile))
    return Look(profile, said, recognise(pod, namespace, said, profile), beside)


def recognise(
    pod: JsonObject, namespace: JsonObject | None, said: keys.Statements, profile: Profile | None
) -> Recognition:
    """Whether the pod trains, and by which mark it is known."""
    for rule in (_left_out, _opted_in):
        found = rule(pod, namespace, said, profile)
        if found is not None:
            return found
    serving = _mark_of_serving(pod)
    if serving is not None:
        return Recognition(Verdict.NOT_TRAINING, serving)
    mark = next(_marks(pod), None) or _accelerator_in_a_batch(pod)
    if mark is None:
        return Recognition(Verdict.NOT_TRAINING, "no mark of a training system")
    return Recognition(Verdict.TRAINING, mark)


def _left_out(
    pod: JsonObject, namespace: JsonObject | None, said: keys.Statements, _: Profile | None
) -> Recognition | None:
    if pods.MIRROR_ANNOTATION in pods.annotations(pod):
        return Recognition(Verdict.EXCLUDED, "a mirror pod of a kubelet")
    if pods.labels(namespace or {}).get(ENABLED_LABEL) == "false":
        return Recognition(Verdict.EXCLUDED, f"the Namespace is labelled {ENABLED_LABEL}=false")
    enabled = said.of_pod(keys.ENABLED)
    if enabled is not None and enabled.value is False:
        return Recognition(Verdict.OPTED_OUT, f"{enabled.source} {ENABLED_LABEL}=false")
    return None


def _opted_in(
    _: JsonObject, namespace: JsonObject | None, said: keys.Statements, profile: Profile | None
) -> Recognition | None:
    enabled = said.of_pod(keys.ENABLED)
    if enabled is not None:
        return Recognition(Verdict.TRAINING, f"{enabled.source} {ENABLED_LABEL}=true")
    if said.by_owner:
        return Recognition(Verdict.TRAINING, "the pod carries a gracekeeper key")
    if profile is not None and profile.enabled is not None:
        verdict = Verdict.TRAINING if profile.enabled else Verdict.NOT_TRAINING
        return Recognition(verdict, f"profile {profile.name} enabled={str(profile.enabled).lower()}")
    if pods.labels(namespace or {}).get(ENABLED_LABEL) == "true":
        return Recognition(Verdict.TRAINING, f"the Namespace is labelled {ENABLED_LABEL}=true")
    return None


def _mark_of_serving(pod: JsonObject) -> str | None:
    labels = pods.labels(pod)
    label = markers.first_match(labels, markers.NOT_TRAINING_LABELS)
    if label is not None:
        return f"label {label}"
    for key, value in markers.NOT_TRAINING_LABEL_VALUES:
        if labels.get(key) == value:
            return f"label {key}={value}"
    step, trainer = markers.TRAINER_STEP_LABEL
    if labels.get(step, trainer) != trainer:
        return f"label {step}={shown(labels[step])}"
    for _, kind in pods.owners(pod):
        if kind in markers.NOT_TRAINING_OWNER_KINDS or any(word in kind for word in markers.NOT_TRAINING_KIND_WORDS):
            return f"owned by a {shown(kind)}"
    return None


def _marks(pod: JsonObject) -> Iterator[str]:
    label = markers.first_match(pods.labels(pod), markers.TRAINING_LABELS)
    if label is not None:
        yield f"label {shown(label)}"
    for group, kind in pods.owners(pod):
        if group in markers.TRAINING_OWNER_GROUPS:
            yield f"owned by a {shown(kind)} of {group}"
    annotation = markers.first_match(pods.annotations(pod), markers.TRAINING_ANNOTATIONS)
    if annotation is not None:
        yield f"annotation {shown(annotation)}"
    for container in pods.containers(pod):
        variable = markers.first_match(pods.variable_names(container), markers.TRAINING_VARIABLES)
        if variable is not None:
            yield f"environment variable {shown(variable)} of container {shown(container.get('name'))}"


def _accelerator_in_a_batch(pod: JsonObject) -> str | None:
    accelerator, batch = _accelerator(pod), _batch(pod)
    return f"{accelerator} in {batch}" if accelerator and batch else None


def _accelerator(pod: JsonObject) -> str | None:
    if (pod.get("spec") or {}).get("resourceClaims"):
        return "a DRA claim"
    for container in pods.everyone(pod):
        resources = container.get("resources") or {}
        for bound in ("limits", "requests"):
            found = markers.first_match(resources.get(bound) or {}, markers.ACCELERATORS)
            if found is not None:
                return shown(found)
    return None


def _batch(pod: JsonObject) -> str | None:
    for owner in pods.owners(pod):
        if owner in markers.BATCH_OWNERS:
            return f"a {owner[1]}"
    labels = pods.labels(pod)
    label = markers.first_match(labels, markers.BATCH_LABELS)
    pair = next((f"{key}={value}" for key, value in markers.BATCH_LABEL_VALUES if labels.get(key) == value), None)
    found = label or pair
    return f"a batch (label {found})" if found and not pods.owners(pod) else None
