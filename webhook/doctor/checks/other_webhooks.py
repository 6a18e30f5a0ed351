"""GK205: another mutating webhook sees new pods after gracekeeper, and may change what gracekeeper gave them.

The API server calls configurations in the order of their names. A webhook with `reinvocationPolicy: IfNeeded` is called again
after later ones have changed the pod. What a webhook does cannot be read: the probe shows that somebody did something, and
this check names those who can have done it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from webhook.doctor.effects import Effects, effects_in
from webhook.doctor.finding import Cure, Evidence, Finding, Severity, UnseenReason
from webhook.doctor.grace_setters import (
    FIELD,
    NOTE_ON_EXEMPTION,
    Scope,
    Selection,
    exempt_by,
    exempting_patch,
    scope_of,
    seconds_in,
    sets_grace,
)
from webhook.doctor.installed_webhooks import PodWebhook, other_pod_webhooks
from webhook.doctor.lists import ClusterLists
from webhook.policy.pod.metadata import JsonObject

ID = "GK205"
_POLICIES = (
    ("MutatingAdmissionPolicy", "mutations"),
    ("MutatingPolicy", "mutations"),
    ("ClusterPolicy", "rules"),
    ("Policy", "rules"),
    ("Assign", "parameters"),
)
_SIDECAR = "a native sidecar"
_ORDER = "kubectl get mutatingwebhookconfigurations --sort-by=.metadata.name"


@dataclass(frozen=True, slots=True)
class _Suspect:
    """A webhook, what it may see, and the effect that it can have had."""

    webhook: PodWebhook
    scope: Scope
    proof: str
    """The effect in words; empty without one."""


def findings(lists: ClusterLists) -> Iterator[Finding]:
    """Yield one finding for each webhook that can have changed a pod behind gracekeeper."""
    effects = effects_in(lists)
    policies = _policies(lists)
    suspects = [
        _Suspect(webhook, scope, _proof(scope, effects, policies.seconds))
        for webhook in other_pod_webhooks(lists.of("MutatingWebhookConfiguration"))
        if webhook.is_called_after or webhook.is_called_again
        for scope in (scope_of(lists, effects, _selection(webhook)),)
        if scope.namespaces or not lists.trainers
    ]
    for suspect in suspects:
        count = sum(each.proof == suspect.proof for each in suspects)
        is_sure = count == 1 and (_SIDECAR in suspect.proof or policies.are_told)
        is_refuted = bool(suspect.scope.namespaces) and suspect.scope.namespaces <= effects.answered
        yield _finding(suspect, count, is_sure=is_sure, is_refuted=is_refuted)


def _selection(webhook: PodWebhook) -> Selection:
    manifest = webhook.manifest
    exempt = exempt_by(manifest.get("matchConditions"))
    return Selection(manifest.get("namespaceSelector"), manifest.get("objectSelector"), exempt=exempt)


@dataclass(frozen=True, slots=True)
class _Policies:
    """What the policies of the cluster explain."""

    seconds: frozenset[int]
    """The graces that they set."""
    are_told: bool
    """Whether all of them are known, and each says which grace it sets."""


def _policies(lists: ClusterLists) -> _Policies:
    specs = [(kind, each.get("spec") or {}, part) for kind, part in _POLICIES for each in lists.of(kind)]
    numbers = [
        _assigned(spec) if kind == "Assign" else seconds_in(spec.get(part))
        for kind, spec, part in specs
        if FIELD in str(spec.get("location")) or sets_grace(spec.get(part))
    ]
    are_known = all(
        kind in lists.objects or (kind in lists.unseen and lists.unseen[kind].reason is UnseenReason.NOT_SERVED)
        for kind, _ in _POLICIES
    )
    return _Policies(frozenset(number for of_one in numbers for number in of_one), are_known and all(numbers))


def _assigned(spec: JsonObject) -> tuple[int, ...]:
    value = ((spec.get("parameters") or {}).get("assign") or {}).get("value")
    return (value,) if isinstance(value, int) else ()


def _proof(scope: Scope, effects: Effects, explained: frozenset[int]) -> str:
    """Return the effect that a webhook with this scope can have had, in words; empty without one."""
    stripped = sorted(scope.namespaces.intersection(effects.without_restart_policy))
    if stripped:
        return f"the probe shows that {_SIDECAR} loses its `restartPolicy` in namespace {stripped[0]}"
    graces = (
        effect.proof
        for effect in effects.graces
        if effect.namespace in scope.namespaces and effect.given_seconds not in explained
    )
    return next(graces, "")


def _finding(suspect: _Suspect, count: int, *, is_sure: bool, is_refuted: bool) -> Finding:
    webhook, scope, proof = suspect.webhook, suspect.scope, suspect.proof
    when = "after gracekeeper" if webhook.is_called_after else "before gracekeeper, and again after it"
    if proof and is_sure:
        told = f"{proof}, and nobody else can have done it."
    elif proof:
        told = f"{proof}. It is one of {count} webhooks that can have done it." if count > 1 else f"{proof}."
    elif is_refuted:
        told = "the probe shows that it leaves the grace and native sidecars alone."
    else:
        told = (
            "it may change the grace, or drop the `restartPolicy` of native sidecars. --probe NS tells whether it does."
        )
    return Finding(
        check=ID,
        severity=(Severity.ERROR if is_sure else Severity.WARNING) if proof else Severity.INFO,
        subject=f"webhook {webhook.configuration}/{webhook.name}",
        sentence=f"Webhook {webhook.name} of {webhook.configuration} is called {when}: {told}",
        cure=_cure(webhook, scope, is_shown=bool(proof)),
        evidence=(Evidence(_ORDER, ".metadata.name", webhook.configuration),),
        pods=tuple(sorted(each.full_name for each in scope.trainers)) if proof else (),
    )


def _cure(webhook: PodWebhook, scope: Scope, *, is_shown: bool) -> Cure:
    if not is_shown:
        namespaces = sorted(scope.namespaces) or ["NS"]
        return Cure("gracekeeper doctor " + " ".join(f"--probe {each}" for each in namespaces))
    at = f"/webhooks/{webhook.index}/matchConditions"
    resource = f"mutatingwebhookconfiguration {webhook.configuration}"
    command = exempting_patch(resource, at, webhook.manifest.get("matchConditions"), scope)
    note = f"Upgrade what it belongs to first, and use this where that does not help. {NOTE_ON_EXEMPTION}"
    return Cure(command, note, "It restarts nothing. Pods keep what they were created with.")
