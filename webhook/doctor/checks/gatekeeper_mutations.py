"""GK202: an Assign or ModifySet of Gatekeeper sets the grace of pods, or changes their init containers.

Gatekeeper's webhook is called before or after gracekeeper's by its name, and again where gracekeeper changed the pod.
"""

import json
from collections.abc import Iterator
from typing import Any

from webhook.doctor.effects import Effects, effects_in
from webhook.doctor.finding import Cure, Evidence, Finding, Severity
from webhook.doctor.grace_setters import FIELD, GraceSetter, Scope, Selection, finding_of, scope_of
from webhook.doctor.lists import ClusterLists
from webhook.policy.pod.metadata import JsonObject, metadata_of

ID = "GK202"
_INIT = "initContainers"
_RESTARTS = "It restarts nothing. Pods keep what they were created with."


def findings(lists: ClusterLists) -> Iterator[Finding]:
    """Yield one finding for each mutation of the grace or of init containers that may meet training pods."""
    effects = effects_in(lists)
    for mutation in (*lists.of("Assign"), *lists.of("ModifySet")):
        spec = mutation.get("spec") or {}
        location = str(spec.get("location") or "")
        scope = _scope(spec.get("match") or {}, lists, effects)
        if not scope.namespaces and lists.trainers:
            continue
        if FIELD in location:
            yield finding_of(ID, _setter(mutation, spec, scope), effects)
        elif _INIT in location and ("restartPolicy" in location or mutation.get("kind") == "ModifySet"):
            yield _of_init_containers(mutation, spec, scope, effects)


def _scope(match: JsonObject, lists: ClusterLists, effects: Effects) -> Scope:
    exempt = frozenset(match.get("excludedNamespaces") or ())
    selection = Selection(match.get("namespaceSelector"), match.get("labelSelector"), match.get("namespaces"), exempt)
    return scope_of(lists, effects, selection)


def _setter(mutation: JsonObject, spec: JsonObject, scope: Scope) -> GraceSetter:
    value = ((spec.get("parameters") or {}).get("assign") or {}).get("value")
    path = ".spec.parameters.assign.value"
    numbers = (value,) if isinstance(value, int) else ()
    return GraceSetter(_subject(mutation), _get(mutation, path), path, numbers, scope, _cure(mutation, spec, scope))


def _of_init_containers(mutation: JsonObject, spec: JsonObject, scope: Scope, effects: Effects) -> Finding:
    hit = sorted(scope.namespaces.intersection(effects.without_restart_policy))
    is_refuted = not hit and bool(scope.namespaces) and scope.namespaces <= effects.answered
    proof = f"the probe shows that a native sidecar loses its restartPolicy in namespace {hit[0]}" if hit else ""
    may = f"may break native sidecars: {proof}." if hit else "may break native sidecars. --probe NS tells."
    if is_refuted:
        may = "changes init containers, and the probe shows that native sidecars stay what they are."
    return Finding(
        check=ID,
        severity=Severity.INFO if is_refuted or (not scope.trainers and not hit) else Severity.WARNING,
        subject=_subject(mutation),
        sentence=f"{_subject(mutation)} {may}",
        cure=_cure(mutation, spec, scope),
        evidence=(Evidence(_get(mutation, ".spec.location"), ".spec.location", str(spec.get("location"))),),
    )


def _subject(mutation: JsonObject) -> str:
    return f"Gatekeeper {mutation.get('kind')} {metadata_of(mutation).get('name', '')}"


def _resource(mutation: JsonObject) -> str:
    return f"{str(mutation.get('kind')).lower()}.mutations.gatekeeper.sh {metadata_of(mutation).get('name', '')}"


def _get(mutation: JsonObject, path: str) -> str:
    return f"kubectl get {_resource(mutation)} -o jsonpath='{{{path}}}'"


def _cure(mutation: JsonObject, spec: JsonObject, scope: Scope) -> Cure:
    excluded = (spec.get("match") or {}).get("excludedNamespaces") or ()
    match: dict[str, Any] = {"excludedNamespaces": list(dict.fromkeys((*excluded, *sorted(scope.namespaces))))}
    patch = json.dumps({"spec": {"match": match}})
    return Cure(
        f"kubectl patch {_resource(mutation)} --type merge -p '{patch}'",
        "It exempts the namespaces of your training pods. Use a labelSelector where other pods there have to keep the rule.",
        _RESTARTS,
    )
