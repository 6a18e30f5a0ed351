"""GK201: a policy of Kyverno sets the grace of pods.

Kyverno's webhook is called after gracekeeper's, as its name sorts behind. The text of a policy shows neither its exceptions nor
its preconditions' outcome: whether it meets training pods, the probe tells.
"""

import json
from collections.abc import Iterator
from typing import Any

from webhook.doctor.effects import Effects, effects_in
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

ID = "GK201"
_RESTARTS = "It restarts nothing. Pods keep the grace that they were created with."


def findings(lists: ClusterLists) -> Iterator[Finding]:
    """Yield one finding for each policy that sets the grace."""
    effects = effects_in(lists)
    for policy in (*lists.of("ClusterPolicy"), *lists.of("Policy")):
        yield from _of_rules(policy, lists, effects)
    for policy in lists.of("MutatingPolicy"):
        yield from _of_mutations(policy, lists, effects)


def _of_rules(policy: JsonObject, lists: ClusterLists, effects: Effects) -> Iterator[Finding]:
    """Yield the finding on a policy whose rules set the grace. Its cure is for the first of them."""
    rules = (policy.get("spec") or {}).get("rules") or ()
    setting = [index for index, rule in enumerate(rules) if sets_grace(rule.get("mutate"))]
    if not setting:
        return
    metadata = metadata_of(policy)
    name, namespace = metadata.get("name", ""), metadata.get("namespace")
    exempt = frozenset.intersection(*(_excluded(rules[index]) for index in setting))
    only = None if namespace is None else (namespace,)
    scope = scope_of(lists, effects, Selection(only=only, exempt=exempt))
    if not scope.namespaces and lists.trainers:
        return
    resource = (
        f"clusterpolicies.kyverno.io {name}" if namespace is None else f"policies.kyverno.io {name} -n {namespace}"
    )
    first = setting[0]
    path = f".spec.rules[{first}].mutate"
    numbers = tuple(sorted({number for index in setting for number in seconds_in(rules[index].get("mutate"))}))
    where = f"{policy.get('kind')} {name if namespace is None else f'{namespace}/{name}'}"
    yield finding_of(
        ID,
        GraceSetter(
            f"Kyverno {where}",
            f"kubectl get {resource} -o jsonpath='{{{path}}}'",
            path,
            numbers,
            scope,
            _cure_of_rules(resource, [(index, rules[index]) for index in setting], scope),
        ),
        effects,
    )


def _excluded(rule: JsonObject) -> frozenset[str]:
    """Return the namespaces that a rule leaves out, whatever else is in them."""
    resources = [each.get("resources") or {} for each in (rule.get("exclude") or {}).get("any") or ()]
    whole = (each for each in resources if set(each) <= {"kinds", "namespaces"})
    return frozenset(name for each in whole for name in each.get("namespaces") or ())


def _cure_of_rules(resource: str, rules: list[tuple[int, JsonObject]], scope: Scope) -> Cure:
    exempt = {"resources": {"kinds": ["Pod"], "namespaces": sorted(scope.namespaces) or ["NAMESPACE"]}}
    operations = [_exempting(index, rule.get("exclude") or {}, exempt) for index, rule in rules]
    if None in operations:  # `exclude.all` cannot be joined with `any`
        note = f"Leave {', '.join(sorted(scope.namespaces))} out in `exclude` of the rule. {NOTE_ON_EXEMPTION}"
        return Cure(f"kubectl edit {resource}", note, _RESTARTS)
    return Cure(f"kubectl patch {resource} --type json -p '{json.dumps(operations)}'", NOTE_ON_EXEMPTION, _RESTARTS)


def _exempting(index: int, exclude: JsonObject, exempt: JsonObject) -> dict[str, Any] | None:
    """Return the operation that leaves training pods out of a rule; None where `exclude` has another form than `any`."""
    at = f"/spec/rules/{index}/exclude"
    if exclude.get("any"):
        return {"op": "add", "path": f"{at}/any/-", "value": exempt}
    return None if exclude else {"op": "add", "path": at, "value": {"any": [exempt]}}


def _of_mutations(policy: JsonObject, lists: ClusterLists, effects: Effects) -> Iterator[Finding]:
    spec, name = policy.get("spec") or {}, metadata_of(policy).get("name", "")
    scope = _scope(spec, lists, effects)
    if sets_grace(spec.get("mutations")) and (scope.namespaces or not lists.trainers):
        resource = "mutatingpolicies.policies.kyverno.io"
        yield finding_of(
            ID,
            GraceSetter(
                f"Kyverno MutatingPolicy {name}",
                f"kubectl get {resource} {name} -o jsonpath='{{.spec.mutations}}'",
                ".spec.mutations",
                seconds_in(spec.get("mutations")),
                scope,
                Cure(
                    exempting_patch(f"{resource} {name}", "/spec/matchConditions", spec.get("matchConditions"), scope),
                    NOTE_ON_EXEMPTION,
                    _RESTARTS,
                ),
            ),
            effects,
        )


def _scope(spec: JsonObject, lists: ClusterLists, effects: Effects) -> Scope:
    constraints = spec.get("matchConstraints") or {}
    selectors = constraints.get("namespaceSelector"), constraints.get("objectSelector")
    return scope_of(lists, effects, Selection(*selectors, exempt=exempt_by(spec.get("matchConditions"))))
