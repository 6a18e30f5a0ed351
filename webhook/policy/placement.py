"""Which nodes a pod asks for: the values of a node label to which its selector or its required affinity binds it."""

from webhook.policy.facts import JsonObject


def asked(spec: JsonObject, *label_names: str) -> frozenset[str] | None:
    """The values of a node label, known by any of these names, that the pod is bound to; None where it is not bound.

    A selector counts before the affinity. Of the affinity's terms one is enough for a node, so each has to name a value.
    """
    selector = spec.get("nodeSelector") or {}
    for name in label_names:
        if name in selector:
            return frozenset({selector[name]})
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    terms = (affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms") or ()
    found: set[str] = set()
    for term in terms:
        values = _values_in(term, label_names)
        if not values:
            return None
        found |= values
    return frozenset(found) or None


def _values_in(term: JsonObject, label_names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(
        value
        for expression in term.get("matchExpressions") or ()
        if expression.get("key") in label_names and expression.get("operator") == "In"
        for value in expression.get("values") or ()
    )
