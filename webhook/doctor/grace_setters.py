"""Policies that set the grace of pods: what their text says, and whether an effect shows that it is them.

Law: a policy's text is never evaluated. It names a culprit only beside an effect that it explains; else it may be one.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from webhook.doctor.effects import Effects, GraceEffect
from webhook.doctor.finding import Cure, Evidence, Finding, PodLoss, Severity, longest_loss_first
from webhook.doctor.lists import ClusterLists
from webhook.doctor.selectors import selects
from webhook.doctor.trainers import TrainingPod, losses_of
from webhook.policy.pod.metadata import JsonObject, labels_of, metadata_of

FIELD = "terminationGracePeriodSeconds"
_NUMBER = re.compile(FIELD + r"\W{1,12}(?:value\W{1,8})?(\d{1,9})(?!\d)")
_QUOTED = re.compile(r'"([a-z0-9-]+)"')
_NAME_LABEL = "kubernetes.io/metadata.name"
_EXEMPT_NAME = "not-where-training-runs"
NOTE_ON_EXEMPTION = (
    "It exempts the namespaces of your training pods, with all pods in them. Change the policy where it is kept as well, or "
    "the next deployment of it takes the exemption away."
)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a policy or a webhook may see of what counts here."""

    namespaces: frozenset[str]
    """Of the namespaces with training pods, and of those that were probed."""
    trainers: tuple[TrainingPod, ...]


@dataclass(frozen=True, slots=True)
class GraceSetter:
    """A policy whose text sets the grace of pods."""

    subject: str
    """The kind and the name: MutatingAdmissionPolicy cap."""
    command: str
    """The command that shows it."""
    path: str
    """Where in it the grace is set."""
    numbers: tuple[int, ...]
    """The seconds that stand beside the field; none where they are computed."""
    scope: Scope
    cure: Cure


@dataclass(frozen=True, slots=True)
class Selection:
    """Which pods a policy or a webhook says that it sees."""

    namespaces: JsonObject | None = None
    """The selector of Namespaces; None for all."""
    objects: JsonObject | None = None
    """The selector of pods; None for all."""
    only: Iterable[str] | None = None
    """The namespaces that it is of, if it is of any."""
    exempt: frozenset[str] = frozenset()
    """The namespaces that it leaves out."""


def scope_of(lists: ClusterLists, effects: Effects, selection: Selection) -> Scope:
    """Return what counts here of what something with this selection may see."""
    probed = {*effects.answered, *(effect.namespace for effect in effects.graces), *effects.without_restart_policy}
    labels = {metadata_of(each).get("name"): labels_of(each) for each in lists.of("Namespace")}
    namespaces = {
        name
        for name in probed | {trainer.namespace for trainer in lists.trainers}
        if name not in selection.exempt
        and (selection.only is None or name in selection.only)
        and selects(selection.namespaces, labels.get(name, {_NAME_LABEL: name}))
    }
    trainers = (each for each in lists.trainers if each.namespace in namespaces)
    return Scope(
        frozenset(namespaces), tuple(each for each in trainers if selects(selection.objects, labels_of(each.manifest)))
    )


def exempt_by(conditions: Iterable[JsonObject] | None) -> frozenset[str]:
    """Return the namespaces that matchConditions leave out by the condition that `exempting_patch` writes."""
    texts = (str(each.get("expression")) for each in conditions or () if each.get("name") == _EXEMPT_NAME)
    return frozenset(name for text in texts for name in _QUOTED.findall(text))


def sets_grace(part: object) -> bool:
    """Return whether a part of a policy mentions the grace."""
    return FIELD in json.dumps(part)


def seconds_in(part: object) -> tuple[int, ...]:
    """Return the numbers that stand beside the grace in a part of a policy."""
    return tuple(sorted({int(text) for text in _NUMBER.findall(json.dumps(part))}))


def finding_of(check: str, setter: GraceSetter, effects: Effects) -> Finding:
    """Return the finding on one policy: an error where an effect has its number, else a warning that it may be."""
    scope = setter.scope
    seen = [effect for effect in effects.graces if effect.namespace in scope.namespaces]
    explained = [effect for effect in seen if effect.given_seconds in setter.numbers]
    possible = seen if not setter.numbers else []
    is_refuted = not seen and bool(scope.namespaces) and scope.namespaces <= effects.answered
    return Finding(
        check=check,
        severity=_severity(setter, explained, is_refuted=is_refuted),
        subject=setter.subject,
        sentence=_sentence(setter, explained, seen, is_refuted=is_refuted),
        cure=setter.cure,
        evidence=(Evidence(setter.command, setter.path, _in_words(setter.numbers)),),
        losses=_losses(setter, explained or possible, is_refuted=is_refuted),
    )


def exempting_patch(resource: str, at: str, conditions: Sequence[Any] | None, scope: Scope) -> str:
    """Return the command that leaves namespaces out by one of the matchConditions that stand at this path of a resource."""
    names = ", ".join(f'"{namespace}"' for namespace in sorted(scope.namespaces)) or '"NAMESPACE"'
    condition = {"name": _EXEMPT_NAME, "expression": f"!(request.namespace in [{names}])"}
    if conditions:
        operation: dict[str, Any] = {"op": "add", "path": f"{at}/-", "value": condition}
    else:
        operation = {"op": "add", "path": at, "value": [condition]}
    return f"kubectl patch {resource} --type json -p '{json.dumps([operation])}'"


def _severity(setter: GraceSetter, explained: Sequence[GraceEffect], *, is_refuted: bool) -> Severity:
    if explained:
        return Severity.ERROR
    return Severity.INFO if is_refuted or not setter.scope.trainers else Severity.WARNING


def _sentence(
    setter: GraceSetter, explained: Sequence[GraceEffect], seen: Sequence[GraceEffect], *, is_refuted: bool
) -> str:
    possible = seen if not setter.numbers else []
    number = f" to {_in_words(setter.numbers)}" if setter.numbers else ""
    if explained:
        return f"{setter.subject} sets the grace of pods{number}: {explained[0].proof}."
    if possible:
        return f"{setter.subject} may be what sets the grace of pods: {possible[0].proof}."
    if seen and setter.numbers:
        return (
            f"{setter.subject} may set the grace of pods{number}. The probe or a pod shows another number, so something else "
            "has the last word now."
        )
    if is_refuted:
        return f"{setter.subject} mentions the grace of pods, and the probe shows that training pods keep theirs."
    return f"{setter.subject} may set the grace of pods{number}. --probe NS tells whether it does."


def _losses(setter: GraceSetter, seen: Iterable[GraceEffect], *, is_refuted: bool) -> tuple[PodLoss, ...]:
    by_pod = {(loss.namespace, loss.name): loss for effect in seen for loss in effect.losses}
    if by_pod:
        return longest_loss_first(list(by_pod.values()))
    if is_refuted or not setter.numbers:
        return ()
    return losses_of(setter.scope.trainers, min(setter.numbers))


def _in_words(numbers: Sequence[int]) -> str:
    return " or ".join(f"{number} s" for number in numbers) or "(computed)"
