"""Which nodes a pod asks for: the values of a node label to which its selector or its required affinity binds it."""

from collections.abc import Mapping, Sequence

from webhook.policy.facts import JsonObject


def asked(spec: JsonObject, *label_names: str) -> frozenset[str] | None:
    """The values of a node label, known by any of these names, that the pod is bound to; None where it is not bound.

    A selector counts before the affinity. Of the affinity's terms one is enough for a node, so each has to name a value.
    """
    selector = spec.get("nodeSelector") or {}
    for name in label_names:
        if name in selector:
            return frozenset({selector[name]})
    found: set[str] = set()
    for term in _terms(spec):
        values = _values_in(term, label_names)
        if not values:
            return None
        found |= values
    return frozenset(found) or None


def may_bind(spec: JsonObject, labels: Mapping[str, str]) -> bool:
    """Whether a pod is bound by all these node labels, and a node that has them is among those that it asks for.

    What the selector does not say, one and the same term of the affinity has to: two terms are two kinds of node.
    """
    selector = spec.get("nodeSelector") or {}
    if any(selector.get(name, value) != value for name, value in labels.items()):
        return False
    unsaid = {name: value for name, value in labels.items() if name not in selector}
    found = [{name: _values_in(term, (name,)) for name in unsaid} for term in _terms(spec)]
    return not unsaid or (
        all(all(values.values()) for values in found)
        and any(all(value in values[name] for name, value in unsaid.items()) for values in found)
    )


def _terms(spec: JsonObject) -> Sequence[JsonObject]:
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    return (affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms") or ()


def _values_in(term: JsonObject, label_names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(
        value
        for expression in term.get("matchExpressions") or ()
        if expression.get("key") in label_names and expression.get("operator") == "In"
        for value in expression.get("values") or ()
    )
