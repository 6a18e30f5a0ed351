"""GK203: a MutatingAdmissionPolicy sets the grace of pods.

The API server applies these policies before it calls webhooks, so gracekeeper sees what they set. It has the last word on a pod
that it gives a grace. A grace that the owner chose is lost. A policy without a binding does nothing.
"""

from collections.abc import Iterator, Sequence

from webhook.doctor.effects import effects_in
from webhook.doctor.finding import Cure, Finding
from webhook.doctor.grace_setters import (
    NOTE_ON_EXEMPTION,
    GraceSetter,
    Scope,
    Selection,
    exempt_by,
    exempting_patch,
    finding_of,
    scope_of,
    seconds_in,
    sets_grace,
)
from webhook.doctor.lists import ClusterLists
from webhook.policy.pod.metadata import JsonObject, metadata_of

ID = "GK203"
_RESOURCE = "mutatingadmissionpolicy"


def findings(lists: ClusterLists) -> Iterator[Finding]:
    """Yield one finding for each policy that is bound and sets the grace."""
    effects = effects_in(lists)
    bindings = lists.of("MutatingAdmissionPolicyBinding")
    for policy in lists.of("MutatingAdmissionPolicy"):
        spec, name = policy.get("spec") or {}, metadata_of(policy).get("name", "")
        if not sets_grace(spec.get("mutations")) or not _is_bound(name, lists, bindings):
            continue
        constraints = spec.get("matchConstraints") or {}
        selectors = constraints.get("namespaceSelector"), constraints.get("objectSelector")
        selection = Selection(*selectors, exempt=exempt_by(spec.get("matchConditions")))
        scope = scope_of(lists, effects, selection)
        if scope.namespaces or not lists.trainers:
            yield finding_of(
                ID,
                GraceSetter(
                    f"MutatingAdmissionPolicy {name}",
                    f"kubectl get {_RESOURCE} {name} -o jsonpath='{{.spec.mutations}}'",
                    ".spec.mutations",
                    seconds_in(spec.get("mutations")),
                    scope,
                    _cure(name, spec, scope),
                ),
                effects,
            )


def _is_bound(name: str, lists: ClusterLists, bindings: Sequence[JsonObject]) -> bool:
    """Return whether a binding puts the policy into force; where bindings are not known, it counts as bound."""
    if "MutatingAdmissionPolicyBinding" in lists.unseen:
        return True
    return any((binding.get("spec") or {}).get("policyName") == name for binding in bindings)


def _cure(name: str, spec: JsonObject, scope: Scope) -> Cure:
    command = exempting_patch(f"{_RESOURCE} {name}", "/spec/matchConditions", spec.get("matchConditions"), scope)
    return Cure(command, NOTE_ON_EXEMPTION, "It restarts nothing. Pods keep the grace that they were created with.")
